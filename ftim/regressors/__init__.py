"""Regressors: an aligned face -> the parameters of a morphable model, camera and light."""

from ftim.regressors.landmarks import LandmarkFitSettings, LandmarkRegressor, landmark_error

__all__ = ["LandmarkFitSettings", "LandmarkRegressor", "landmark_error"]
