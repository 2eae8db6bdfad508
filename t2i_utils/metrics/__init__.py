"""How to know: measures of what a generator draws and of what an encoder keeps."""

from t2i_utils.metrics.attributes import (
    AttributeClassifier,
    SecondClassifier,
    attribute_accuracy,
    confusions,
    jointly_right,
    load_attribute_classifier,
)
from t2i_utils.metrics.distances import (
    frechet_distance,
    inception_score,
    kernel_distance,
    nearest,
    precision_and_recall,
)
from t2i_utils.metrics.pixels import COLOURS, colour_of_centre, colour_words, nyquist_power
from t2i_utils.metrics.probes import linear_reader, probe

__all__ = [
    "COLOURS",
    "AttributeClassifier",
    "SecondClassifier",
    "attribute_accuracy",
    "colour_of_centre",
    "colour_words",
    "confusions",
    "frechet_distance",
    "inception_score",
    "jointly_right",
    "kernel_distance",
    "linear_reader",
    "load_attribute_classifier",
    "nearest",
    "nyquist_power",
    "precision_and_recall",
    "probe",
]
