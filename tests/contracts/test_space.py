"""Every space: what `Space` promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from tests.helpers.registry import SPACES


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]()


def test_a_configuration_has_a_shape_and_its_axes_names(space):
    assert isinstance(space, sf.Space)
    assert space.shape
    assert all(type(n) is int and n >= 1 for n in space.shape)
    assert len(set(space.dims)) == len(space.dims) == len(space.shape)
    assert not {"kT", "chain", "draw"} & {*space.dims, *space.coords(), space.variable}
    assert isinstance(space.variable, str)
    assert isinstance(space.measure, str)
    assert space.measure
    assert type(space.size) is int
    assert 1 <= space.size <= np.prod(space.shape)
    assert space.scale > 0
    assert space.reaches_infinity in (True, False)


def test_coordinates_are_of_the_axes(space):
    lengths = dict(zip(space.dims, space.shape, strict=True))
    for name, (dim, values) in space.coords().items():
        assert isinstance(name, str)
        assert np.shape(values) == (lengths[dim],)
        assert np.unique(values).size == len(values)


@pytest.mark.parametrize("n", [1, 5])
def test_the_cover_is_configurations(space, n, getkey):
    key = getkey()
    x = space.cover(key, n)
    assert x.shape == (n, *space.shape)
    assert x.dtype == jnp.result_type(float)
    assert np.all(np.isfinite(x))
    np.testing.assert_array_equal(x, space.cover(key, n))
    assert np.any(np.asarray(x) != np.asarray(space.cover(getkey(), n)))
    np.testing.assert_allclose(x, jax.jit(lambda key: space.cover(key, n))(key), rtol=1e-5, atol=1e-6)


def test_the_cover_is_in_the_default_precision(space, getkey, x64):
    assert space.cover(getkey(), 2).dtype == jnp.float64


def test_the_cover_is_on_the_scale_of_the_space(space, getkey):
    """Within the whole of a periodic one; else neither at one point nor far beyond `scale`."""
    x = np.asarray(space.cover(getkey(), 4000)).reshape(4000, -1)
    if space.reaches_infinity:
        assert 0.2 * space.scale < np.sqrt(np.mean(x**2)) < 2 * space.scale
        assert np.all(np.abs(x.mean(axis=0)) < 4.5 * x.std(axis=0) / np.sqrt(len(x)))
    assert np.all(x.std(axis=0) > 0)


def test_wrapping_twice_is_wrapping_once(space, getkey):
    x = 5 * jax.random.normal(getkey(), (3, 2, *space.shape))
    once = space.wrap(x)
    assert once.shape == x.shape
    assert once.dtype == x.dtype
    np.testing.assert_array_equal(space.wrap(once), once)
    np.testing.assert_array_equal(jax.jit(space.wrap)(x), once)
    assert np.asarray(space.wrap(np.asarray(x))).shape == x.shape


def test_a_space_is_known_by_its_values():
    """It is part of what is compiled, and a key of caches."""
    for name, build in SPACES.items():
        assert build() == build(), name
        assert hash(build()) == hash(build()), name
        assert not jax.tree.leaves(build()), name
    assert len({build() for build in SPACES.values()}) == len(SPACES)


def test_the_names_of_symmetries_are_known(space):
    assert set(space.symmetry_names) <= {"sign", "reflection", "lattice", "permutation", "translation"}
