"""A user's own network, loss and metric, without editing bowen: each in at most 15 lines of the user's code."""

import ast
import inspect
import textwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bowen as bw
from bowen.models.hybrid import count_outputs
from tests.data.files import SITE, fluxnet_table, write_csv

DYNAMIC = ["minimum_stomatal_resistance", "ground_albedo"]


class MLP(eqx.Module):
    layers: eqx.nn.MLP

    def __init__(self, size, key):
        self.layers = eqx.nn.MLP(size, 6, 8, 1, key=key)

    def init(self):
        return ()

    def __call__(self, features, memory):
        return self.layers(features), memory


class GRU(eqx.Module):
    cell: eqx.nn.GRUCell

    def __init__(self, size, key):
        self.cell = eqx.nn.GRUCell(size, 6, key=key)

    def init(self):
        return jnp.zeros(6, self.cell.bias.dtype)

    def __call__(self, features, memory):
        memory = self.cell(features, memory)
        return memory, memory


def huber(predictions, targets, weights):
    error = jnp.sqrt(weights) * (predictions - targets)
    return jnp.where(jnp.abs(error) < 1.0, 0.5 * error**2, jnp.abs(error) - 0.5).mean()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    path = write_csv(tmp_path_factory.mktemp("tower") / "FLX_XX-Syn.csv", fluxnet_table(16))
    record = bw.fill_forcing(bw.read(path, site=SITE))
    return bw.SiteData(record, bw.block_split(record, days=2))


@pytest.fixture
def optax_counts_in_integers():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("optax_counts_in_integers")
@pytest.mark.parametrize("make", [MLP, GRU], ids=lambda make: make.__name__)
def test_a_network_of_ones_own_trains_in_a_hybrid(site, key, make):
    hybrid = bw.Hybrid(site.parameters, DYNAMIC, network=make(site.num_features, key), static=["root_zone_capacity"])
    before = bw.simulate(hybrid, site)
    physics = bw.simulate(bw.Process(site.parameters), site)
    np.testing.assert_allclose(before.latent_heat, physics.latent_heat, rtol=1e-6, atol=1e-6)
    trained, history = bw.train(hybrid, [site], updates=6, window_days=4, validate_every=2, spin_up_years=1)
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    weights = [jax.tree.leaves(eqx.filter(model.network, eqx.is_array)) for model in (hybrid, trained)]
    assert all((start != end).any() for start, end in zip(*weights, strict=True))
    after = bw.simulate(trained, site)
    assert np.abs(after.energy_residual).max() < 1e-9 and np.ptp(after.parameter_ground_albedo.values) > 0.0


@pytest.mark.usefixtures("optax_counts_in_integers")
def test_a_loss_of_ones_own_moves_the_model_elsewhere(site, key):
    def trained(loss):
        lstm = bw.LSTM(site.num_features, hidden_size=4, key=key)
        hybrid = bw.Hybrid(site.parameters, DYNAMIC, network=lstm)
        return bw.train(hybrid, [site], loss=loss, updates=4, window_days=4, validate_every=2, spin_up_years=1)

    (squared, history), (own, others) = trained("squared_error"), trained(huber)
    assert others.loss.iloc[0] < history.loss.iloc[0]  # Huber's is at most half of the square
    assert (squared.head.weight != own.head.weight).any()


def test_a_flux_network_takes_the_same_networks(site, key):
    network = bw.FluxNetwork(site.flux_scale, network=GRU(site.num_weather_features, key), key=key)
    simulation = bw.simulate(network, site)
    assert simulation.attrs["model"] == "GRU" and np.isfinite(simulation.latent_heat).all()


def test_what_is_no_network_is_told_so(site):
    with pytest.raises(ValueError, match=r"Linear gives no vector for .* features. A network has init\(\) -> memory"):
        bw.Hybrid(site.parameters, DYNAMIC, network=eqx.nn.Linear(3, 4, key=jax.random.key(0)))


def test_outputs_are_counted_without_being_told_the_input_size(key):
    assert count_outputs(MLP(11, key)) == count_outputs(GRU(11, key)) == 6
    assert count_outputs(bw.LSTM(11, hidden_size=5, key=key)) == 5


@pytest.mark.parametrize("part", [MLP, GRU, huber], ids=lambda part: part.__name__)
def test_they_take_at_most_15_lines(part):
    lines = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(part)))).splitlines()
    assert len([line for line in lines if line.strip()]) <= 15


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(site, key, value):
    hybrid = bw.Hybrid(site.parameters, DYNAMIC, network=MLP(site.num_features, key))
    bad = eqx.tree_at(lambda h: h.network.layers.layers[0].bias, hybrid, replace_fn=lambda bias: bias.at[1].set(value))
    for function in (lambda: bw.simulate(bad, site), lambda: bw.train(bad, [site], updates=1)):
        with pytest.raises(bw.ModelError, match=r"Hybrid: its weight `network.*bias` is not finite\.\n  fix: "):
            function()


@pytest.mark.parametrize("years", [-1, 10**30])
def test_spin_up_without_measure_is_refused(site, years):
    with pytest.raises(bw.ConfigError, match="spin_up_years"):
        bw.simulate(bw.Process(site.parameters), site, spin_up_years=years)
