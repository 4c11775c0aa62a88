"""Brings a stack up from whatever state it was left in, in the order in which its parts need each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kirana.stack import (
    broker,
    causes,
    consul_agent,
    consul_binary,
    front,
    packages,
    ports,
    postgres,
    processes,
    readiness,
    redis_servers,
    supervisor_conf,
)
from kirana.stack.definitions import METHODS
from kirana.stack.faults import MigrationFailed, SeedFailed, ServerFailed, ServiceFailed, StackFault
from kirana.stack.home import Home
from kirana.stack.lock import alone
from kirana.stack.passwords import passwords as draw_passwords
from kirana.stack.programs import (
    SERVICES,
    WITH_DATABASE,
    Program,
    Wishes,
    metered,
    our_programs,
    service_environment,
)
from kirana.stack.readiness import Probe
from kirana.stack.state import StackState, save
from kirana.stack.steps import Steps
from kirana.stack.supervision import Supervisor
from kirana.stack.waiting import Waiter

ADMIN = "admin"
SERVER_SECONDS = 120.0
SERVICE_SECONDS = 90.0
CONSUL_SECONDS = 20.0
CAN_WAIT = ("notification",)
"""Without it the shop sells on, and its letters wait."""


@dataclass(frozen=True)
class Plan:
    """What is to run, and where."""

    home: Home
    state: StackState
    passwords: Mapping[str, str]
    servers: list[Program]
    ours: list[Program]
    administration: str


def bring_up(home: Home, wishes: Wishes, steps: Steps, *, servers_only: bool = False) -> StackState:
    """Start everything that does not run, and return when it is ready. Raises :class:`StackFault`."""
    home.make()
    with alone(home.root, on_wait=lambda: steps.note("another kirana command works on this stack; waiting for it")):
        with steps.step("Servers are installed"):
            consul = _programs_at_hand(home, steps)
        supervisor = Supervisor(home)
        with steps.step("Configuration"), ports.choosing_alone():
            plan = _prepare(home, wishes, supervisor, consul)
        save(plan.state)  # before anything starts: whoever interrupts us can look at what runs
        supervisor.start(program.name for program in plan.servers)
        _wait_for_database(plan, supervisor, steps)
        if servers_only:
            _wait_for_servers(plan, supervisor, steps)
        else:
            with _migrating(plan) as migrated:  # while the broker starts, which takes longest
                _wait_for_servers(plan, supervisor, steps)
                with steps.step("Migrations"):
                    migrated()
            _start_ours(plan, supervisor, steps)
            _stock_the_shop(plan, wishes, steps)
    return plan.state


def _programs_at_hand(home: Home, steps: Steps) -> Path | None:
    installed = packages.ensure()
    if installed:
        steps.note(f"installed {', '.join(installed)}")
    found = consul_binary.present(home.root)
    if found is not None:
        return found
    try:
        steps.now("Getting Consul")
        return consul_binary.fetch(home.root)
    except consul_binary.NoConsul as reason:
        steps.note(f"running without Consul: {reason}. To have it, put a consul binary on PATH and run: kirana up")
        return None


def _prepare(home: Home, wishes: Wishes, supervisor: Supervisor, consul: Path | None) -> Plan:
    running = supervisor.is_alive()
    if not running:
        processes.end(home.root)
    reserved = [port for other in processes.other_homes(home.root) for port in ports.chosen_in(other).values()]
    chosen = ports.choose(home.root, running=running, programs=metered(wishes.scale), reserved=reserved)
    secret = draw_passwords(home.root)
    state = describe(home, chosen, secret, with_consul=consul is not None)
    postgres.create_cluster(home, secret)
    servers = [
        postgres.program(home, chosen["postgres"]),
        broker.program(home, chosen, secret),
        redis_servers.carts(home, chosen["redis_carts"], secret["redis.carts"]),
        redis_servers.edge(home, chosen["redis_edge"], secret["redis.edge"]),
        *([consul_agent.program(home, chosen, consul)] if consul else []),
    ]
    ours = our_programs(state, secret, wishes, edge_port=chosen["edge"])
    if front.is_wanted(home):
        ours.append(front.program(home, chosen))
        front.weigh(home, 0)  # a deployment that was killed may have left a weight, and its version ends below
    administration = postgres.dsn(postgres.SUPERUSER, secret["postgres"], chosen["postgres"], "postgres")
    configuration = supervisor_conf.render(home, [*servers, *ours])
    if running:
        supervisor.apply(configuration)
    else:
        supervisor.start_itself(configuration)
    return Plan(home, state, secret, servers, ours, administration)


def describe(home: Home, chosen: Mapping[str, int], secret: Mapping[str, str], *, with_consul: bool) -> StackState:
    """The addresses and credentials that follow from ports and passwords."""
    operator = f"operator:{secret['amqp.operator']}@127.0.0.1"
    return StackState(
        home=home.root,
        edge_url=f"http://127.0.0.1:{chosen['edge']}",
        admin_username=ADMIN,
        admin_password=secret["admin"],
        amqp=f"amqp://{operator}:{chosen['amqp']}/kirana",
        management=f"http://{operator}:{chosen['management']}",
        redis_carts=[redis_servers.url(chosen["redis_carts"], secret["redis.carts"])],
        redis_edge=redis_servers.url(chosen["redis_edge"], secret["redis.edge"]),
        postgres={
            service: postgres.dsn(service, secret[f"database.{service}"], chosen["postgres"], f"kirana_{service}")
            for service in WITH_DATABASE
        },
        consul=f"http://127.0.0.1:{chosen['consul']}" if with_consul else None,
        smtp=f"smtp://127.0.0.1:{chosen['smtp']}",
        metrics={
            name.removeprefix(ports.METRICS_PREFIX): f"http://127.0.0.1:{port}/metrics"
            for name, port in chosen.items()
            if name.startswith(ports.METRICS_PREFIX)
        },
    )


def _wait_for_database(plan: Plan, supervisor: Supervisor, steps: Steps) -> None:
    with steps.step("PostgreSQL and its databases"):
        waiter = Waiter(plan.home, supervisor, ServerFailed)
        waiter.wait("postgres", readiness.postgres(plan.administration), SERVER_SECONDS)
        postgres.create_databases(plan.administration, plan.passwords)


def _wait_for_servers(plan: Plan, supervisor: Supervisor, steps: Steps) -> None:
    waiter = Waiter(plan.home, supervisor, ServerFailed)
    probes: dict[str, tuple[str, Probe]] = {
        "redis-carts": ("Redis for carts", readiness.redis_server(plan.state.redis_carts[0])),
        "redis-edge": ("Redis for the edge", readiness.redis_server(plan.state.redis_edge)),
        "rabbitmq": ("RabbitMQ", readiness.broker(plan.state.amqp)),
    }
    for name, (title, probe) in probes.items():
        with steps.step(title):
            waiter.wait(name, probe, SERVER_SECONDS)
    if plan.state.consul:
        try:
            with steps.step("Consul"):
                waiter.wait("consul", readiness.consul(plan.state.consul), CONSUL_SECONDS)
        except ServerFailed as fault:
            steps.note(f"going on without Consul for now: {fault}")
    with steps.step("Exchanges, users and their rights"):
        broker.load_definitions(plan.home, plan.state.management)


def _start_ours(plan: Plan, supervisor: Supervisor, steps: Steps) -> None:
    supervisor.start(program.name for program in plan.ours)
    waiter = Waiter(plan.home, supervisor, ServiceFailed)
    with steps.step("Mail sink"):
        waiter.wait("mail-sink", readiness.smtp(plan.state.smtp), SERVICE_SECONDS)
    away, closed = _taken_out(plan, steps), list[str]()
    for service in SERVICES:
        instances = sum(program.name.rpartition("-")[0] == service for program in plan.ours if program.name not in away)
        if not instances:
            closed += [service] if service not in CAN_WAIT else []
            continue
        probe = readiness.service(plan.state.amqp, METHODS[service], instances=instances)
        with steps.step(f"{service.capitalize()} service"):
            waiter.wait(f"{service}-1", probe, SERVICE_SECONDS)
    with steps.step("Edge"):
        question = readiness.ALIVE if closed or "edge" in away else readiness.READY
        waiter.wait("edge", readiness.edge(plan.state.edge_url, question), SERVICE_SECONDS)
    if closed:
        raise ServiceFailed(
            f"Everything runs, but the shop is not open: all of {', '.join(closed)} is out.",
            cause="An operator has taken it out.",
            mend="kirana maintenance list   (then: kirana maintenance off INSTANCE; kirana up)",
        )


def _taken_out(plan: Plan, steps: Steps) -> set[str]:
    """Instances that take nothing, or not always, because an operator wishes so: nobody waits for those."""
    from kirana.configuration.attendance import let_in, wishes
    from kirana.configuration.keys import Keys

    if not plan.state.consul:
        return set()
    try:
        with Keys(plan.state.consul) as keys:
            away = set(wishes(keys))
            for trial in {instance for instance in away if instance.endswith("-canary")}:
                let_in(keys, trial)  # a deployment that was killed left the wish, and nobody is on trial now
    except StackFault:  # it was said already that Consul is away
        return set()
    for instance in sorted(away & {program.name for program in plan.ours}):
        steps.note(f"{instance} is out. To let it in: kirana maintenance off {instance}")
    return away


@contextmanager
def _migrating(plan: Plan) -> Iterator[Callable[[], None]]:
    """Migrates all databases beside the block; what it gives waits for that. Raises ``MigrationFailed`` then."""
    running = {
        service: subprocess.Popen(
            [sys.executable, "-m", "rpc_services", service, "migrate"],
            cwd=plan.home.root,
            env=plan.home.environment() | service_environment(service, plan.state, plan.passwords),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for service in WITH_DATABASE
    }
    try:
        yield lambda: _wait_for_migrations(running)
    finally:
        for process in running.values():
            with process:
                process.kill()  # nothing happens to one that has ended


def _wait_for_migrations(running: Mapping[str, subprocess.Popen[str]]) -> None:
    written = {service: process.communicate()[0] for service, process in running.items()}
    for service, process in running.items():
        if process.returncode != 0:
            lines = tuple(written[service].splitlines()[-causes.LINES :])
            cause, mend = causes.likely(lines)
            raise MigrationFailed(
                f"The database of {service} could not be migrated.", log=lines, cause=cause, mend=mend
            )


def _stock_the_shop(plan: Plan, wishes: Wishes, steps: Steps) -> None:
    from kirana.seeding.demo import seed_demo
    from kirana.seeding.staff import ensure_admin
    from shared.contracts.refusals import Refusal

    stocked = plan.home.root / "stocked"
    try:
        with steps.step("Administrator"):
            ensure_admin(plan.state)
        if wishes.seed and not stocked.exists():
            with steps.step("Demo shop: 2,000 products"):
                seed_demo(plan.state)
            stocked.touch()  # a later start leaves the goods as customers left them
    except Refusal as refusal:
        raise SeedFailed(f"The shop could not be stocked: {refusal}", mend="kirana up") from None
