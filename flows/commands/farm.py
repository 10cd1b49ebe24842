"""`douga farm`: the nodes of a farm, and taking one out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.tools import AsJson, print_json

if TYPE_CHECKING:
    from cluster.node.records import Order

farm = typer.Typer(help="The nodes of a farm: what each does, and taking one out.")
Node = Annotated[str, typer.Argument(help="its name, as douga farm lists it")]


@farm.callback(invoke_without_command=True)
def list_nodes(
    context: typer.Context,
    ray: Annotated[str, typer.Option("--ray", help="the farm's Ray head; default DOUGA_RAY")] = "",
    as_json: AsJson = False,
) -> None:
    """List the nodes: what each does now, what it has, and why one is out.

    Nodes that joined by `douga worker` tell of themselves in the farm's store (DOUGA_FARM); of
    those that Ray's own command made, only the head knows.
    """
    if context.invoked_subcommand:
        return
    from cluster.node.records import farm_store
    from flows.commands.tables.farm import show_nodes
    from flows.farm.nodes import farm_document
    from flows.progress import Plain

    document = farm_document(farm_store(), head=ray, tell=Plain().note)
    print_json(document, "farm") if as_json else show_nodes(document)


@farm.command()
def drain(
    node: Node,
    why: Annotated[str, typer.Option("--why", help="for whoever looks")] = "",
) -> None:
    """Have renders leave a node after the chunk in hand, and start nothing there until undrain."""
    _order(node, "drain", why)


@farm.command()
def quarantine(
    node: Node, why: Annotated[str, typer.Option("--why", help="what is wrong with it")]
) -> None:
    """The same for a node that is not to be trusted."""
    _order(node, "quarantine", why)


@farm.command()
def undrain(node: Node) -> None:
    """Take back what was said of a node: renders use it again."""
    from cluster.node.records import farm_store, take_back

    gone = take_back(farm_store(), _known(node, ray=False))
    for out in gone:
        print(f"{node} is no longer {out}")
    if not gone:
        print(f"{node} was not out by anybody's word")


@farm.command()
def sleep(
    node: Node, why: Annotated[str, typer.Option("--why", help="for whoever looks")] = ""
) -> None:
    """Have a node go to sleep after the chunk in hand, by its own --sleep-command."""
    from cluster.errors import UsageError
    from cluster.node.records import farm_store, nodes_here

    here = nodes_here(farm_store()).get(_known(node, ray=False))
    if here is None or not here[0].sleeps:
        raise UsageError(
            "it does not know how to sleep",
            where=node,
            remedy="start its douga worker with --sleep-command, or drain it",
        )
    _order(node, "sleep", why)


@farm.command()
def wake(node: Node) -> None:
    """Wake a node by the packet that its network card listens for, from the same network."""
    from cluster.errors import ClusterError, UsageError, os_reason
    from cluster.node.records import farm_store, nodes_here, take_back
    from cluster.node.wake import wake as send

    store = farm_store()
    here = nodes_here(store).get(_known(node, ray=False))
    if here is None or not here[0].mac:
        raise UsageError(
            "its network card is not known", where=node, remedy="wake it by hand this time"
        )
    try:
        send(here[0].mac, broadcast=here[0].broadcast)
    except OSError as error:
        raise ClusterError(f"it cannot be called ({os_reason(error)})", where=node) from error
    take_back(store, node, ("sleep",))
    print(f"{node} is called by {here[0].mac} on {here[0].broadcast}")


def _order(node: str, kind: Order, why: str) -> None:
    from cluster.node.records import farm_store, order

    print(f"{node} is {order(farm_store(), _known(node), kind, why=why)}")


def _known(node: str, *, ray: bool = True) -> str:
    """The name itself, if the farm has such a node. UsageError otherwise."""
    from cluster.errors import UsageError
    from cluster.node.records import farm_store, nodes_here, nodes_out
    from flows.farm.nodes import nodes_in_ray
    from flows.progress import Plain
    from flows.spec.documents import nearest_name

    store = farm_store()
    known = {*nodes_here(store), *nodes_out(store)}
    if node not in known and ray:
        known |= {each.name for each in nodes_in_ray("", tell=Plain().note)}
    if node not in known:
        raise UsageError(
            "no such node",
            where=node,
            remedy=f"{nearest_name(node, sorted(known))} (DOUGA_RAY lets it ask Ray's head too)",
        )
    return node
