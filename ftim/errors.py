"""Errors that a user of ftim may meet, each with the file it is about and what to do."""


class FtimError(Exception):
    """Base of every error that ftim raises on purpose; its text names the cause and the remedy."""


class PhotoError(FtimError):
    """A photograph cannot be read: not an image, truncated, too small, or of an unknown kind."""


class FaceError(FtimError):
    """The photograph was read but holds no usable face."""


class NoFaceError(FaceError):
    """No face was found in the photograph."""


class FaceTooSmallError(FaceError):
    """A face was found but has too few pixels; the message says how many and how many are needed."""


class FaceIndexError(FaceError):
    """A face was asked for by number and the photograph has fewer."""


class AssetError(FtimError):
    """A file that is not code is missing or wrong; the message names file, licence and remedy."""


class AssetHashError(AssetError):
    """A file or archive is not the one expected: its sha256 differs or it is truncated."""


class AssetUnavailableError(AssetError):
    """No source could deliver the file: no network, offline mode, or every address failed."""


class AssetStorageError(AssetError):
    """The file cannot be written: full disk or no permission."""


class KernelCacheError(FtimError):
    """Compiled kernels cannot be kept anywhere; the message names the folders and the variable that chooses one."""


class ModelFileError(FtimError):
    """A morphable model or weight file has the wrong version, names, or shapes."""


class OfficialFileError(FtimError):
    """A licensed file of a peer's method cannot be used; the message names the file, its licence and the remedy."""


class OfficialFilesMissingError(OfficialFileError):
    """Some of these files are not there; the message lists each one and where it is licensed."""


class OfficialLayoutError(OfficialFileError):
    """Such a file is damaged, is another file, or asks to run code, which never happens."""


class OutputError(FtimError):
    """A result cannot be written: full disk or no permission; the message names the file."""


class ResultFolderError(FtimError):
    """The folder of a result holds other files; the message names it. Nothing in it was changed."""


class ResultFileError(FtimError):
    """The files of a result are missing, damaged, or of another head; the message names the folder."""


class PhotosFailedError(FtimError):
    """Some photographs of many could not be used; the message lists each with its reason."""


class DatasetError(FtimError):
    """A folder of photographs is missing, empty, or incomplete."""


class RepositoryError(FtimError):
    """A command needs the repository, and the package was installed without it; the message says what to do."""


class MissingPackageError(FtimError):
    """A package that only some uses need is not installed; the message names the extra that brings it."""


class SystemLibraryError(FtimError):
    """A shared library of the operating system is missing; the message names the Debian command."""


class SettingsError(FtimError, ValueError):
    """A setting has a value that makes no sense; the message names it and what is allowed."""


class TrainingError(FtimError):
    """Training cannot go on: a loss that is no number, or a checkpoint of another run; the message says what to do."""


class TrainingStopped(TrainingError):
    """Ctrl-C: the step at hand was finished and the checkpoint written."""


class CacheEntryError(TrainingError):
    """A prepared training example is damaged or was made by another version; the message names the file."""
