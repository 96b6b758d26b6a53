"""Empirical models of the fluxes, the benchmark a land surface model has to beat; they know neither JAX nor it."""

from bowen.empirical.inputs import Lag as Lag
from bowen.empirical.models import MODELS as MODELS
from bowen.empirical.models import Empirical as Empirical
from bowen.empirical.models import Recipe as Recipe
from bowen.empirical.models import fit as fit
