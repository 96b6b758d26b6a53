"""Array types that physics, land and models share."""

from jaxtyping import Array, Float

Scalar = Float[Array, "..."]  # one value per instant; a series or a set of sites adds axes in front
