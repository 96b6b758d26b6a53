"""Empirical models of the fluxes, the benchmark a land surface model has to beat; they know neither JAX nor it."""

from bowen.evaluation.empirical.inputs import Lag as Lag
from bowen.evaluation.empirical.models import MODELS as MODELS
from bowen.evaluation.empirical.models import Empirical as Empirical
from bowen.evaluation.empirical.models import Recipe as Recipe
from bowen.evaluation.empirical.models import fit as fit
