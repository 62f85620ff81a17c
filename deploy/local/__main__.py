"""The command line: `python3 -m deploy.local up | down | status | image | kubeconfig`.

Exit codes: 0 done, 1 failed or not running, 2 wrong usage. Progress goes to standard error, answers to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.local import choice, clients, images, kind, named, native, places, state
from deploy.local.choice import Choice, Sort, Wish
from deploy.local.errors import LocalClusterError
from deploy.local.progress import say, spell
from deploy.local.state import State


def up(options: argparse.Namespace) -> int:
    started = time.monotonic()
    wish = Wish(
        kubeconfig=options.kubeconfig,
        context=options.context,
        use_kubeconfig_env=options.use_kubeconfig_env,
        sort=Sort(options.cluster) if options.cluster else None,
    )
    places.prepare_local()
    current = state.load()
    asks_for_nothing = wish == Wish()
    if current and asks_for_nothing and current.sort is not Sort.NATIVE and clients.api_answers():
        say(f"A cluster is up already ({current.sort}).")
        return 0
    # A native node that runs is kept, even where an engine has begun to answer since.
    if current and asks_for_nothing and current.sort is Sort.NATIVE:
        chosen = Choice(Sort.NATIVE, current.why)
    else:
        chosen = choice.choose(wish, choice.look())
    if current and current.sort is not chosen.sort and current.sort is not Sort.NAMED:
        raise LocalClusterError(
            f"This checkout has a {current.sort} cluster. Take it down first: python3 -m deploy.local down"
        )
    say(f"Cluster: {chosen.sort} ({chosen.why}).")
    new = _bring_up(chosen)
    State(chosen.sort, chosen.why, chosen.engine).save()
    places.READY.touch()
    outcome = "is ready" if new else "was running already"
    say(f"The cluster {outcome}, after {spell(time.monotonic() - started)}. To use it:")
    say(f"  export KUBECONFIG={places.KUBECONFIG} PATH={places.BIN}:$PATH")
    return 0


def _bring_up(chosen: Choice) -> bool:
    match chosen.sort:
        case Sort.NAMED:
            named.up(chosen.kubeconfig, chosen.context)
            return True
        case Sort.KIND:
            assert chosen.engine is not None
            return kind.up(chosen.engine)
        case Sort.NATIVE:
            return native.up()


def down(options: argparse.Namespace) -> int:
    del options
    current = state.load()
    removed = False
    if current and current.sort is Sort.KIND and current.engine:
        kind.down(current.engine)
        removed = True
    # A crashed native cluster may be there without a word of it in this checkout.
    if choice.is_root_on_linux() and (current is None or current.sort is Sort.NATIVE):
        removed = native.down()
    if current and current.sort is Sort.NAMED:
        say("The cluster is your own: it stays as it is, and this checkout forgets it.")
    elif not removed:
        say("There is no cluster to take down.")
    state.forget()
    return 0


def status(options: argparse.Namespace) -> int:
    current = state.load()
    answer: dict[str, Any] = {
        "cluster": current.sort.value if current else None,
        "why": current.why if current else None,
        "running": current is not None and clients.api_answers(),
        "kubeconfig": str(places.KUBECONFIG) if places.KUBECONFIG.exists() else None,
    }
    if current is None or current.sort is Sort.NATIVE:
        found = native.status()
        answer["checkout"] = found.checkout
        answer["ended"] = list(found.dead)
        answer["running"] = answer["running"] and found.running
    if options.output == "json":
        print(json.dumps(answer))
    else:
        for name, value in answer.items():
            print(f"{name:12}{_plain(value)}")
    return 0 if answer["running"] else 1


def _plain(value: Any) -> str:
    match value:
        case None | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(str(each) for each in value)
        case _:
            return str(value)


def image(options: argparse.Namespace) -> int:
    current = state.load()
    engine = current.engine if current and current.engine else None
    if current is None or current.sort is Sort.NAMED:
        engine = choice.look().engine
    made = images.provide(engine)
    if options.output == "json":
        print(json.dumps(made.as_json()))
    else:
        print(made.operator, made.demo, sep="\n")
    return 0


def kubeconfig(options: argparse.Namespace) -> int:
    del options
    if not places.KUBECONFIG.exists():
        raise LocalClusterError("No cluster is up: python3 -m deploy.local up")
    print(places.KUBECONFIG)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line's words."""
    top = argparse.ArgumentParser(prog="python3 -m deploy.local", description="A Kubernetes on this machine.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    one = verbs.add_parser("up", help="bring a cluster up: the one you name, else kind, else a native node")
    one.add_argument("--kubeconfig", type=Path, metavar="FILE", help="use the cluster of this file")
    one.add_argument("--context", metavar="NAME", help="use the cluster of this context")
    one.add_argument("--use-kubeconfig-env", action="store_true", help="use the cluster that KUBECONFIG names")
    one.add_argument("--cluster", choices=[Sort.KIND.value, Sort.NATIVE.value], help="this sort and no other")
    one.set_defaults(act=up)

    one = verbs.add_parser("down", help="take the cluster down; one of your own is only forgotten")
    one.set_defaults(act=down)

    one = verbs.add_parser("status", help="which cluster there is, and whether it runs (exit code 1: it does not)")
    one.add_argument("--output", choices=["text", "json"], default="text")
    one.set_defaults(act=status)

    one = verbs.add_parser("image", help="build the images whose sources changed, load them, print their names")
    one.add_argument("--output", choices=["text", "json"], default="text")
    one.set_defaults(act=image)

    one = verbs.add_parser("kubeconfig", help="print the path of the cluster's kubeconfig")
    one.set_defaults(act=kubeconfig)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except LocalClusterError as problem:
        say(f"Error: {problem}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted. Run the same command again to go on.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
