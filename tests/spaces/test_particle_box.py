"""The periodic box, and the ideal gas in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.bases import UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.spaces import ParticleBox


def test_shape_names_and_measure():
    box = ParticleBox(5, (1.0, 2.0, 3.0))
    assert (box.shape, box.dimension, box.volume) == ((5, 3), 3, 6.0)
    assert box.dims == ("particle", "component")
    assert box.variable == "x"
    assert {name: len(values) for name, (_, values) in box.coords().items()} == {"particle": 5, "component": 3}
    assert "dx" not in ParticleBox(2).measure
    assert ParticleBox(2).shape == (2, 2)
    for measure, words in (("normalised", "d(x_i)/volume"), ("lebesgue", "d(x_i) over")):
        assert words in ParticleBox(2, measure=measure).measure
        assert "no 1/n!" in ParticleBox(2, measure=measure).measure


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "at least 1"),
        ({"n": 2.0}, "integer"),
        ({"n": True}, "integer"),
        ({"n": 4, "dimension": 4}, "1, 2 or 3 axes"),
        ({"n": 4, "lengths": (1.0, 1.0), "dimension": 3}, "one for each of the 3 axes"),
        ({"n": 4, "lengths": -1.0}, "positive length"),
        ({"n": 4, "lengths": (1.0, np.inf)}, "positive length"),
        ({"n": 4, "measure": "dx"}, '"normalised"'),
    ],
)
def test_what_is_no_box_is_refused(arguments, words):
    with pytest.raises(StudyError, match=words):
        ParticleBox(**arguments)


def test_wrapping(x64):
    box = ParticleBox(1, (1.0, 3.0))
    x = jnp.asarray([[-0.25, 7.0], [1.0, -3.0], [0.5, 2.999]])
    np.testing.assert_allclose(box.wrap(x), [[0.75, 1.0], [0.0, 0.0], [0.5, 2.999]], atol=1e-12)


def test_wrapping_stays_inside_in_single_precision():
    box = ParticleBox(1, 1.0, 1)
    wrapped = box.wrap(jnp.asarray([-1e-9, 1.0, -1.0, 2.5, 0.99999994], jnp.float32))
    assert wrapped.dtype == jnp.float32
    assert jnp.all((wrapped >= 0) & (wrapped < 1))


def test_the_displacement_is_the_shortest_geodesic(getkey, x64):
    lengths = np.asarray([1.0, 0.5])
    box = ParticleBox(40, lengths)
    x, y = (lengths * jax.random.normal(getkey(), (40, 2)) for _ in range(2))
    r = np.asarray(box.displacement(x, y))
    assert np.all(np.abs(r) <= 0.5 * lengths * (1 + 1e-12))
    whole = (np.asarray(x - y) - r) / lengths
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-12)
    np.testing.assert_allclose(box.displacement(y, x), -r, atol=1e-12)
    np.testing.assert_allclose(box.displacement(x + 3 * lengths, y), r, atol=1e-12)


@pytest.mark.parametrize(("measure", "log_z"), [("normalised", 0.0), ("lebesgue", 4 * np.log(6.0))])
def test_the_ideal_gas(measure, log_z, getkey, x64):
    """Uniform, and normalised under the measure of the box: log ρ = -log Z of the ideal gas."""
    box = ParticleBox(4, (2.0, 3.0), measure=measure)
    np.testing.assert_allclose(box.log_total_measure, log_z, rtol=1e-12)
    base = UniformTorus.in_box(box)
    x = np.asarray(jax.vmap(base.sample)(jax.random.split(getkey(), 2000)))
    assert x.shape == (2000, 4, 2)
    np.testing.assert_allclose(base.log_prob(x[0]), -log_z, rtol=1e-12)
    assert np.all((x >= 0) & (x < [2.0, 3.0]))
    error = np.asarray([2.0, 3.0]) / np.sqrt(12 * 2000)
    assert np.all(np.abs(x.mean(axis=0) - [1.0, 1.5]) < 4.5 * error)
    coupled, _ = base.sample_coupled(getkey(), jnp.asarray(x[0]))
    assert np.all(np.abs(coupled - x[0]) <= [1.0, 1.5])
