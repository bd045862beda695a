"""Regressors: an aligned face -> the parameters of a morphable model, camera and light."""

from ftim.regressors.geometry import GeometrySettings, LandmarkFitter, landmark_error
from ftim.regressors.landmarks import LandmarkRegressor, RegressorSettings
from ftim.regressors.light import LightSettings

__all__ = [
    "GeometrySettings",
    "LandmarkFitter",
    "LandmarkRegressor",
    "LightSettings",
    "RegressorSettings",
    "landmark_error",
]
