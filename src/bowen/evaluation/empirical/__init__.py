"""Empirical models of the turbulent fluxes, as benchmarks of land surface models."""

from bowen.evaluation.empirical.inputs import Lag as Lag
from bowen.evaluation.empirical.models import MODELS as MODELS
from bowen.evaluation.empirical.models import Empirical as Empirical
from bowen.evaluation.empirical.models import Recipe as Recipe
from bowen.evaluation.empirical.models import fit as fit
