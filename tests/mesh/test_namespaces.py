"""Real multicast between machines, each of them a network namespace with a cable into a common bridge."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.mesh.people import ANN, BOB

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def why_not() -> str:
    """Why there are no network namespaces here; "" when there are."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "needs Linux and iproute2"
    if os.geteuid() != 0:
        return "needs root"
    probe = f"p2pmods-{secrets.token_hex(4)}"
    try:
        ip("netns", "add", probe)
        ip("netns", "delete", probe)
    except subprocess.CalledProcessError as error:
        return f"no network namespaces: {error.stderr.decode()}"
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@dataclass
class Lan:
    """A switch, which is a namespace too, and machines on it. Nothing of it is seen outside."""

    name: str
    nodes: list[subprocess.Popen[str]] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    def namespace(self, name: str) -> str:
        full = f"{self.name}-{name}"
        ip("netns", "add", full)
        self.namespaces.append(full)
        self.run(name, "ip", "link", "set", "lo", "up")
        return full

    def run(self, machine: str, *command: str) -> None:
        subprocess.run(["ip", "netns", "exec", f"{self.name}-{machine}", *command], check=True, capture_output=True)

    def plug_in(self, machine: str, address: str, *, cable: str = "eth0") -> None:
        """Another cable from `machine` to the switch."""
        end = f"{machine}-{cable}"[:15]
        self.run("switch", "ip", "link", "add", end, "type", "veth", "peer", cable, "netns", f"{self.name}-{machine}")
        self.run("switch", "ip", "link", "set", end, "master", "bridge", "up")
        self.run(machine, "ip", "address", "add", address, "dev", cable)
        self.run(machine, "ip", "link", "set", cable, "up")

    def start(self, machine: str, node_id: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.mesh.lonenode", node_id, self.name, "4000"]
        node = subprocess.Popen(
            ["ip", "netns", "exec", f"{self.name}-{machine}", *command], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.nodes.append(node)
        return node

    def start_node(self, machine: str, directory: Path, listen: str, *peers: str) -> subprocess.Popen[str]:
        """A real node, which is told what to do."""
        command = [sys.executable, "-m", "tests.mesh.apartnode", str(directory / machine), listen, *peers]
        (directory / machine).mkdir()
        node = subprocess.Popen(
            ["ip", "netns", "exec", f"{self.name}-{machine}", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
            node.wait()
            assert node.stdout is not None
            node.stdout.close()
            if node.stdin is not None:
                node.stdin.close()
        for name in self.namespaces:
            ip("netns", "delete", name)


@pytest.fixture
def lan() -> Iterator[Lan]:
    lan = Lan(f"p2p{secrets.token_hex(4)}")
    try:
        lan.namespace("switch")
        lan.run("switch", "ip", "link", "add", "bridge", "type", "bridge")
        lan.run("switch", "ip", "link", "set", "bridge", "up")
        for machine, address in (("ann", "10.77.0.1/24"), ("bob", "10.77.0.2/24")):
            lan.namespace(machine)
            lan.plug_in(machine, address)
        yield lan
    finally:
        lan.close()


def tell(node: subprocess.Popen[str], word: str) -> None:
    assert node.stdin is not None
    node.stdin.write(f"{word}\n")
    node.stdin.flush()


def wait_for(node: subprocess.Popen[str], *words: str) -> str:
    """The first line that begins with these words."""
    assert node.stdout is not None
    for line in node.stdout:
        sys.stdout.write(line)
        if line.split()[: len(words)] == list(words):
            return line
    pytest.fail(f"it ended without saying {words}")


def test_two_machines_find_each_other_by_the_addresses_of_their_cable(lan: Lan) -> None:
    ann, bob = lan.start("ann", ANN), lan.start("bob", BOB)
    wait_for(ann, "at", "10.77.0.1")
    wait_for(ann, "heard", BOB, "10.77.0.2")
    wait_for(bob, "heard", ANN, "10.77.0.1")


def test_a_machine_that_gets_another_address_is_found_there(lan: Lan) -> None:
    ann, bob = lan.start("ann", ANN), lan.start("bob", BOB)
    wait_for(ann, "heard", BOB, "10.77.0.2")
    lan.run("bob", "ip", "address", "del", "10.77.0.2/24", "dev", "eth0")
    lan.run("bob", "ip", "address", "add", "10.77.0.22/24", "dev", "eth0")
    wait_for(bob, "at", "10.77.0.22")
    wait_for(ann, "heard", BOB, "10.77.0.22")


def test_a_machine_that_is_plugged_in_later_is_found(lan: Lan) -> None:
    lan.run("bob", "ip", "link", "delete", "eth0")
    ann, bob = lan.start("ann", ANN), lan.start("bob", BOB)
    wait_for(bob, "at", "127.0.0.1")
    lan.plug_in("bob", "10.77.0.2/24")
    wait_for(bob, "at", "10.77.0.2")
    wait_for(ann, "heard", BOB, "10.77.0.2")


def test_the_bridge_of_containers_is_not_published(lan: Lan) -> None:
    lan.run("ann", "ip", "link", "add", "docker0", "type", "bridge")
    lan.run("ann", "ip", "address", "add", "172.17.0.1/16", "dev", "docker0")
    lan.run("ann", "ip", "link", "set", "docker0", "up")
    wait_for(lan.start("ann", ANN), "at", "10.77.0.1")


def test_a_port_that_another_took_for_itself_is_a_problem_and_no_end(lan: Lan) -> None:
    hold = "import socket; s = socket.socket(type=2); s.bind(('', 5353)); print('held', flush=True); input()"
    holder = subprocess.Popen(
        ["ip", "netns", "exec", f"{lan.name}-ann", sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lan.nodes.append(holder)
    wait_for(holder, "held")
    ann = lan.start("ann", ANN)
    assert "in use" in wait_for(ann, "problem")
    assert ann.poll() is None


def test_two_machines_that_nobody_can_dial_share_through_one_that_both_reach(lan: Lan, tmp_path: Path) -> None:
    """Nor is there a route between them. Whoever is to dial one of them would dial itself."""
    lan.namespace("dan")
    for machine, address in (("ann", "10.78.1.2/24"), ("bob", "10.78.2.2/24")):
        lan.run(machine, "ip", "address", "flush", "dev", "eth0")
        lan.run(machine, "ip", "address", "add", address, "dev", "eth0")
    lan.plug_in("dan", "10.78.1.1/24")
    lan.plug_in("dan", "10.78.2.1/24", cable="eth1")
    dan = lan.start_node("dan", tmp_path, ":4000")
    middle = wait_for(dan, "ready").split()[1]
    ann, bob = (
        lan.start_node(machine, tmp_path, "127.0.0.1:4000", f"{at}:4000")
        for machine, at in (("ann", "10.78.1.1"), ("bob", "10.78.2.1"))
    )
    for node in (ann, bob):
        wait_for(node, "ready")
        wait_for(node, "knows", middle)
    tell(ann, "get")
    wait_for(ann, "got", "upstream")
    wait_for(ann, "proven")
    for node in (ann, bob, dan):
        tell(node, "offline")
    tell(bob, "get")
    wait_for(bob, "got", "peer", middle)
