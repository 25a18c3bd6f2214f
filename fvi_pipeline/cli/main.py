"""`fvi`: the commands of DESIGN, each a few lines over the package that does the work.

Heavy packages are imported inside the commands that need them, so that `fvi status` answers at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fvi_pipeline.cli.ask import ask
from fvi_pipeline.cli.backtest import backtest
from fvi_pipeline.cli.card import card
from fvi_pipeline.cli.catalogue import catalogue
from fvi_pipeline.cli.champion import challenge, promote, promotions, rollback
from fvi_pipeline.cli.documents import documents, spider
from fvi_pipeline.cli.drift import drift
from fvi_pipeline.cli.explain import explain
from fvi_pipeline.cli.features import features
from fvi_pipeline.cli.index import index
from fvi_pipeline.cli.quiet import quiet_libraries
from fvi_pipeline.cli.replay import replay_gold
from fvi_pipeline.cli.search import search
from fvi_pipeline.cli.segments import segments
from fvi_pipeline.cli.token import token
from fvi_pipeline.cli.trace import trace
from fvi_pipeline.cli.tune import tune
from fvi_pipeline.cli.weights import app as weights_app
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings

app = typer.Typer(
    name="fvi",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="FVI, the Future Viability Index of coal mines. State lives in FVI_HOME (default .fvi/).",
)
_WIDTH_OF_FILES = 120
# the real streams: while a run's tools are sent to a log, its progress still reaches the terminal
_out = Console(
    file=sys.__stdout__, highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES
)
_err = Console(file=sys.__stderr__, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a known error is one sentence on stderr and exit code 1, never a stack trace."""
    from pydantic import ValidationError

    try:
        app()
    except PlatformError as error:
        _err.print(f"[red]fvi:[/red] {error}", markup=True)
        sys.exit(1)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        _err.print(f"[red]fvi:[/red] a setting cannot be used: {reasons}")
        sys.exit(2)


@app.command()
def up() -> None:
    """Start the embedded servers and keep them until `fvi down`."""
    from fvi_pipeline.platform import servers

    servers.up(get_settings())
    _print_status()


@app.command()
def down(
    force: Annotated[bool, typer.Option("--force", help="Also while another command uses them.")] = False,
) -> None:
    """Stop the embedded servers; what they hold stays in FVI_HOME."""
    from fvi_pipeline.platform import servers

    servers.down(get_settings(), force=force)
    _print_status()


@app.command()
def status() -> None:
    """Show which servers run, without starting any."""
    _print_status()


@app.command()
def env() -> None:
    """Print shell exports; use it as: eval "$(fvi env)". Starts the servers and keeps them until `fvi down`."""
    from fvi_pipeline.platform import servers
    from fvi_pipeline.platform.environment import shell_exports, tool_environment

    settings = get_settings()
    running = servers.up(settings)
    print(shell_exports(tool_environment(settings, running), Path(sys.executable).parent))
    if any(server.pid for server in servers.status(settings)):
        _err.print("[dim]The embedded servers are up and stay so until `fvi down`.[/dim]")


@app.command()
def run(
    source: Annotated[
        str | None,
        typer.Option(help="A landing folder, `sample` (simulated mines) or `auto` (download from the publishers)."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="Take nothing in: rebuild gold from what was known on this date (its end, UTC) or at this time, "
            "beside the live tables, and compare it with what is stored.",
        ),
    ] = None,
    as_received: Annotated[
        bool, typer.Option("--as-received", help="With --as-of: only from files that had come by then.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="With --as-of: drop that replay's schemas.")] = False,
) -> None:
    """Take in what is new in the source and materialise what depends on it; print a summary."""
    if as_of is not None:
        if source is not None:
            raise typer.BadParameter("--as-of takes no --source: it reads what the ledger has.")
        quiet_libraries()
        replay_gold(_out, as_of, as_received=as_received, drop=drop)
        return
    if as_received or drop:
        raise typer.BadParameter("--as-received and --drop belong to --as-of DATE.")
    from fvi_pipeline.platform.environment import apply_environment, tool_environment, watch_folder
    from fvi_pipeline.platform.servers import running_servers

    settings = get_settings()
    started = time.monotonic()
    quiet_libraries()
    with running_servers(settings) as servers:
        apply_environment(tool_environment(settings, servers))
        from fvi_pipeline.platform.database import connect
        from fvi_pipeline.run.source import resolve_source

        with connect(servers.database_url) as connection:
            origin = resolve_source(settings, source or settings.source, _say, connection)
        watch_folder(settings, origin.folder)
        from fvi_pipeline.run.pipeline import RunFailed, run_pipeline
        from fvi_pipeline.run.summary import print_summary

        try:
            report = run_pipeline(settings, servers, origin, _say)
        except RunFailed as error:
            _err.print(f"[red]fvi run:[/red] {error}", markup=True)
            raise typer.Exit(1) from error
        with connect(servers.database_url) as connection:
            print_summary(_out, connection, report, time.monotonic() - started)


@app.command()
def predict(
    mine_id: Annotated[str, typer.Argument(help="For example msha:4801353 or gem:M0086.")],
    horizon: Annotated[int, typer.Option(help="Years from the as-of year: 1, 2, 3, 5, 10 or 20.")] = 5,
) -> None:
    """Print one mine's stored score with its interval and reasons, as JSON."""
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.run.scores import stored_score

    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        score = stored_score(connection, mine_id, horizon)
    if score is None:
        _err.print(
            f"[red]fvi predict:[/red] there is no mine {mine_id}. Find it with SQL: silver.silver_mine_profiles."
        )
        raise typer.Exit(1)
    print(json.dumps(score, indent=2, default=str))


app.command()(ask)
app.command()(card)
app.command()(explain)
app.command()(trace)
app.command()(backtest)
app.command()(catalogue)
app.command()(documents)
app.command()(drift)
app.command()(features)
app.command()(index)
app.command()(segments)
app.command()(spider)
app.command()(promote)
app.command()(promotions)
app.command()(rollback)
app.command()(search)
app.command()(challenge)
app.command()(token)
app.command()(tune)
app.add_typer(weights_app, name="weights")


@app.command()
def dev() -> None:
    """Open the Dagster UI with its daemon (schedules, sensors) on loopback, until Ctrl-C."""
    settings = get_settings()
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    command = ["dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(settings.ui_port)]
    _serve(command, f"Dagster UI: http://127.0.0.1:{settings.ui_port}")


@app.command()
def serve() -> None:
    """Serve the newest Bento on loopback (POST /predict, /retrieve, …), until Ctrl-C."""
    settings = get_settings()
    if not (settings.home / "bentoml" / "bentos" / "fvi" / "latest").is_file():
        raise PlatformError(f"There is no Bento in {settings.home} yet. Run `make demo` first.")
    command = ["bentoml", "serve", "fvi:latest", "--host", "127.0.0.1", "--port", str(settings.http_port)]
    _serve(command, f"HTTP: http://127.0.0.1:{settings.http_port}  (documents at /docs)")


def _serve(command: list[str], address: str) -> None:
    """Run a long-living tool in the tools' environment while this process holds the servers for it."""
    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.servers import running_servers

    settings = get_settings()
    with running_servers(settings) as servers:
        apply_environment(tool_environment(settings, servers))
        os.environ["PYTHONPATH"] = str(PROJECT_ROOT)
        _out.print(address)
        command[0] = str(Path(sys.executable).parent / command[0])
        process = subprocess.Popen(command)
        # Ctrl-C reaches the children by itself; `kill` and process managers send SIGTERM to this process only
        told_to_stop = threading.Event()

        def stop(*_: object) -> None:
            told_to_stop.set()
            _end(process.pid)

        signal.signal(signal.SIGTERM, stop)
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue
        _end(process.pid)
    raise typer.Exit(0 if told_to_stop.is_set() or code in (0, -signal.SIGINT) else abs(code))


def _end(pid: int) -> None:
    """End a tool with all that it started: some tools leave their workers behind when they are told to stop."""
    import psutil

    try:
        processes = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=10)
    for process in alive:
        process.kill()


def _print_status() -> None:
    from fvi_pipeline.platform.database import redacted
    from fvi_pipeline.platform.servers import status as server_status

    settings = get_settings()
    _out.print(f"FVI_HOME    {settings.home}")
    for server in server_status(settings):
        kind = "embedded" if server.embedded else "external"
        state = f"running, pid {server.pid}" if server.pid else ("stopped" if server.embedded else "not ours to start")
        _out.print(f"{server.name:<11} {kind}, {state}: {redacted(server.address)}")


def _say(text: str) -> None:
    _out.print(text, markup=False)
