"""The space of lattice fields: its shape, its labels, and what it refuses."""

import numpy as np
import pytest

from statphys_flows import Lattice
from statphys_flows.errors import StudyError


@pytest.mark.parametrize(
    ("shape", "dims"), [(5, ("x",)), ((4,), ("x",)), ((4, 3), ("x", "y")), ([2, 3, 4], ("x", "y", "z"))]
)
def test_a_site_has_a_coordinate_along_each_axis(shape, dims):
    lattice = Lattice(shape)
    assert lattice.dims == dims
    assert len(lattice.shape) == len(dims)
    coords = lattice.coords()
    assert tuple(coords) == dims
    for name, n in zip(dims, lattice.shape, strict=True):
        dimension, values = coords[name]
        assert dimension == name
        np.testing.assert_array_equal(values, np.arange(n))
    assert lattice.sites == np.prod(lattice.shape)
    assert lattice.variable == "phi"


def test_the_boundary_is_given_for_all_axes_or_each():
    assert Lattice((4, 3)).periodic == (True, True)
    assert Lattice((4, 3), "dirichlet").periodic == (False, False)
    assert Lattice((4, 3), ("periodic", "dirichlet")).periodic == (True, False)
    assert Lattice((4, 3), ["dirichlet", "periodic"]).boundary == ("dirichlet", "periodic")


def test_lattices_are_equal_by_value():
    """They are keys of caches, and part of what is compiled."""
    assert Lattice((np.int64(4), 3)) == Lattice([4, 3])
    assert hash(Lattice((4, 3))) == hash(Lattice([4, 3], "periodic"))
    assert Lattice((4, 3)) != Lattice((3, 4))
    assert Lattice((4, 3)) != Lattice((4, 3), "dirichlet")


@pytest.mark.parametrize("shape", [(), (0, 4), (-2,), (4.0, 4), (2, 2, 2, 2), (True, 4), 2.5, "44", None])
def test_a_shape_that_is_none_is_refused(shape):
    with pytest.raises(StudyError, match=r"give the number of sites along each of one to three axes, for example"):
        Lattice(shape)


@pytest.mark.parametrize("boundary", ["open", ("periodic",), ("periodic", "open"), ("dirichlet",) * 3])
def test_another_boundary_is_refused(boundary):
    with pytest.raises(StudyError, match=r'write "periodic" or "dirichlet", or one of them for each of the 2 axes'):
        Lattice((4, 4), boundary)
