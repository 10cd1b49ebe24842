"""A pool for all work that needs the same: which there are, who makes what, what no node has."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.connect.nodes import Cluster, Node, cluster_of
from flows.farm.pools import missing, pool_for, pool_for_segments, pool_specs
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request

TAGGED = {"douga/tag-a6000": "yes"}
EPISODE = """\
source: {film}
cut: [24]
recipe:
  - hold: {{keep: true}}
  - upscale
shots:
  sh010: {{needs: {{tag: a6000}}}}
  sh020: {{needs: {{licence: nuke, soft: true, tag: h200}}}}
"""


@pytest.fixture
def prepared(tiny_film: Path, tmp_path: Path) -> Prepared:
    path = tmp_path / "ep01.yaml"
    path.write_text(EPISODE.format(film=tiny_film))
    store = (tmp_path / "store").as_uri()
    return prepare(make_request(str(path), store=store, ray="head:6379"), Silent())


def cluster(*nodes: Node, **floating: float) -> Cluster:
    licences = {f"licence:{name}": count for name, count in floating.items()}
    return Cluster(address="head:6379", local=False, nodes=nodes, floating=licences)


PLAIN = Node(cpus=4, memory_bytes=1 << 36)
FAST = Node(cpus=2, memory_bytes=1 << 36, labels=TAGGED)
LICENSED = Node(cpus=8, memory_bytes=1 << 36, more={"licence:nuke": 2})


def test_work_that_needs_other_nodes_has_workers_of_its_own(prepared: Prepared) -> None:
    there = cluster(PLAIN, FAST, LICENSED)
    specs = pool_specs(prepared.request, prepared.plan, there, device="cpu")
    fast, licensed = (pool_for(shot.runs[-1], specs) for shot in prepared.plan.shots)
    assert set(specs) == {fast, licensed}
    assert (specs[fast].labels, specs[fast].workers) == (TAGGED, 2)
    assert specs[licensed].workers == 2, "as many as there are licences"
    assert specs[licensed].soft
    assert not specs[licensed].floating
    assert pool_for_segments(specs) in specs
    assert missing(specs, there) == []


def test_a_licence_that_a_node_without_work_holds_floats(prepared: Prepared) -> None:
    specs = pool_specs(prepared.request, prepared.plan, cluster(PLAIN, FAST, nuke=3), device="cpu")
    (licensed,) = (spec for spec in specs.values() if spec.floating)
    assert licensed.floating == {"licence:nuke": 1}
    assert licensed.licences == {}
    assert licensed.workers == 3


def test_what_no_node_has_is_said_and_waited_for(prepared: Prepared) -> None:
    specs = pool_specs(prepared.request, prepared.plan, cluster(PLAIN), device="cpu")
    lines = missing(specs, cluster(PLAIN))
    assert len(lines) == 2
    assert any("a6000" in line for line in lines)
    assert all(spec.workers == 1 and spec.elastic for spec in specs.values()), "an autoscaler's"


@pytest.mark.parametrize("alone", [True, False])
def test_this_machine_alone_and_a_forecast_know_no_nodes(prepared: Prepared, alone: bool) -> None:
    request = prepared.request.model_copy(update={"ray": ""} if alone else {})
    specs = pool_specs(request, prepared.plan, cluster(PLAIN), device="cpu", placed=alone)
    assert set(specs) == {"cpu"}
    assert specs["cpu"].labels == {}
    assert {pool_for(run, specs) for shot in prepared.plan.shots for run in shot.runs} == {"cpu"}


def test_a_cluster_is_told_by_labels_and_resources() -> None:
    told = cluster_of(
        "head:6379",
        [
            ("id1", "host1", {"douga/name": "ws3", **TAGGED}, {"CPU": 4.0, "licence:nuke": 2.0}),
            ("id2", "host2", {"ray.io/accelerator-type": "H200"}, {"CPU": 8.0, "GPU": 1.0}),
            ("id3", "head", {}, {"memory": 1.0, "licence:katana": 5.0}),
        ],
    )
    first, second = told.nodes
    assert (first.name, first.tags, first.licences) == ("ws3", ("a6000",), {"nuke": 2})
    assert (second.name, second.cards) == ("host2", ("H200",))
    assert told.floating == {"licence:katana": 5}
    assert told.fits(Node(cpus=1, labels=TAGGED)) == 4
    assert told.fits(Node(cpus=1), floating={"licence:katana": 1}) == 5
    assert told.without({"id1"}).fits(Node(cpus=1, labels=TAGGED)) == 0
