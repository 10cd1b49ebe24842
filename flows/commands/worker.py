"""`douga worker`: this machine as a node of a farm."""

from __future__ import annotations

from typing import Annotated

import typer

SPOT = "spot"
"""The tag of a machine that a cloud may take away."""


def worker(
    join: Annotated[str, typer.Option("--join", help="the farm's Ray head, as HOST:6379")],
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="what renders may need: a6000, workstation, spot; repeatable"),
    ] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option("--licence", help="licences of this host, as nuke=2; repeatable"),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=1024, help="cores to lend; 0: all")
    ] = 0,
    hours: Annotated[str, typer.Option("--hours", help="lent then only, as 20:00-08:00")] = "",
    when_idle: Annotated[
        str, typer.Option("--when-idle", help="lent when nobody has touched it for so long: 10m")
    ] = "",
    sleep_command: Annotated[
        str, typer.Option("--sleep-command", help="puts it to sleep: 'systemctl suspend'")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="default: the host's name")] = "",
) -> None:
    """Make this machine a node of a farm, until Ctrl-C.

    Renders are asked to leave it after the chunk in hand when its owner is back, its hours are
    over, or a cloud takes a spot machine away: for these DOUGA_FARM names the farm's store. When
    the head goes away, it is joined again as soon as it answers.
    """
    from dataclasses import replace

    from cluster.node.lending import Lending, read_hours, read_wait
    from cluster.node.machine import node_name, this_machine
    from cluster.node.notice import listener
    from cluster.node.ray_node import NodeSpec, read_licences, read_tags
    from cluster.node.records import farm_store
    from cluster.node.serve import be_a_node
    from cluster.settings import settings
    from flows.progress import Plain

    tell = Plain().note
    rule = Lending(hours=read_hours(hours), idle_s=read_wait(when_idle))
    spec = NodeSpec(
        address=join,
        name=node_name(name),
        cpus=workers,
        tags=read_tags(tag or ()),
        licences=read_licences(licence or ()),
    )
    spot = SPOT in spec.tags
    store = None
    if hours or when_idle or sleep_command or settings().farm:
        store = farm_store()
    else:
        tell("DOUGA_FARM names no farm: nobody sees this node but Ray, or can drain it")
    if line := rule.check():
        tell(line)
    if spot:
        notices = listener(file=settings().spot_notice)
        rule = replace(rule, notice=notices)
        tell(f"a spot machine: {notices}")
    machine = this_machine(join)
    be_a_node(
        replace(spec, cards=machine.cards),
        machine,
        lending=rule,
        store=store,
        tell=tell,
        sleep_command=_words(sleep_command),
    )


def _words(command: str) -> list[str]:
    import shlex

    from cluster.errors import UsageError

    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{error}".lower(), where="--sleep-command") from error
