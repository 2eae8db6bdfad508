"""How to know: measures of what a generator draws and of what an encoder keeps."""

from t2i_utils.metrics.attributes import (
    AttributeClassifier,
    SecondClassifier,
    attribute_accuracy,
    confusions,
    jointly_right,
    load_attribute_classifier,
    load_second_classifier,
)
from t2i_utils.metrics.card import Card, drawer, judges, report_card
from t2i_utils.metrics.distances import (
    frechet_distance,
    frechet_of_moments,
    inception_score,
    kernel_distance,
    kernel_mmd,
    moments,
    nearest,
    precision_and_recall,
)
from t2i_utils.metrics.exams import Exam, blooms_exam, photographs_exam
from t2i_utils.metrics.inception import InceptionFeatures
from t2i_utils.metrics.matching import contradicts, finds_its_sentence
from t2i_utils.metrics.pixels import COLOURS, colour_of_centre, colour_words, nyquist_power
from t2i_utils.metrics.probes import linear_reader, probe
from t2i_utils.metrics.scores import WAYS, asked_three_ways, scores
from t2i_utils.metrics.variety import other_values
