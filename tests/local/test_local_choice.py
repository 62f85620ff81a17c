"""Which cluster is taken: the order, and that none is ever taken silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploy.local.choice import THREE_WAYS, Machine, Sort, Wish, choose
from deploy.local.errors import LocalClusterError

BARE_ROOT = Machine(system="Linux", is_root=True, engine=None)
LAPTOP = Machine(system="Darwin", is_root=False, engine="docker")
NOTHING = Machine(system="Darwin", is_root=False, engine=None)


def test_a_named_cluster_comes_first_whatever_the_machine_offers() -> None:
    for machine in (BARE_ROOT, LAPTOP, NOTHING):
        chosen = choose(Wish(kubeconfig=Path("mine"), context="staging"), machine)
        assert (chosen.sort, chosen.kubeconfig, chosen.context) == (Sort.NAMED, Path("mine"), "staging")


def test_a_context_alone_names_a_cluster() -> None:
    assert choose(Wish(context="staging"), BARE_ROOT).sort is Sort.NAMED


def test_kubeconfig_in_the_environment_counts_only_when_asked() -> None:
    machine = Machine(system="Linux", is_root=True, engine=None, kubeconfig_env="/somewhere/production")
    assert choose(Wish(), machine).sort is Sort.NATIVE
    asked = choose(Wish(use_kubeconfig_env=True), machine)
    assert (asked.sort, asked.kubeconfig) == (Sort.NAMED, Path("/somewhere/production"))


def test_asking_for_an_environment_that_is_not_set_is_an_error() -> None:
    with pytest.raises(LocalClusterError, match="KUBECONFIG is not set"):
        choose(Wish(use_kubeconfig_env=True), BARE_ROOT)


def test_several_files_in_the_environment_are_ambiguous() -> None:
    machine = Machine(system="Linux", is_root=True, engine=None, kubeconfig_env="/one:/two")
    with pytest.raises(LocalClusterError, match="several files"):
        choose(Wish(use_kubeconfig_env=True), machine)


def test_kind_comes_before_a_native_node_where_an_engine_answers() -> None:
    machine = Machine(system="Linux", is_root=True, engine="podman")
    chosen = choose(Wish(), machine)
    assert (chosen.sort, chosen.engine) == (Sort.KIND, "podman")


def test_a_native_node_where_root_on_linux_has_no_engine() -> None:
    assert choose(Wish(), BARE_ROOT).sort is Sort.NATIVE


def test_a_native_node_can_be_asked_for_beside_an_engine() -> None:
    machine = Machine(system="Linux", is_root=True, engine="docker")
    assert choose(Wish(sort=Sort.NATIVE), machine).sort is Sort.NATIVE


def test_a_sort_that_was_asked_for_is_never_replaced_by_another() -> None:
    with pytest.raises(LocalClusterError, match="Docker or Podman"):
        choose(Wish(sort=Sort.KIND), BARE_ROOT)
    with pytest.raises(LocalClusterError, match="root on Linux"):
        choose(Wish(sort=Sort.NATIVE), LAPTOP)


def test_naming_a_cluster_and_asking_for_a_sort_contradict_each_other() -> None:
    with pytest.raises(LocalClusterError, match="not both"):
        choose(Wish(kubeconfig=Path("mine"), sort=Sort.KIND), LAPTOP)


@pytest.mark.parametrize("machine", [NOTHING, Machine(system="Linux", is_root=False, engine=None)])
def test_where_nothing_is_possible_one_message_names_the_three_ways(machine: Machine) -> None:
    with pytest.raises(LocalClusterError) as caught:
        choose(Wish(), machine)
    assert str(caught.value) == THREE_WAYS
    assert all(word in THREE_WAYS for word in ("--kubeconfig", "Docker or Podman", "root on Linux"))
