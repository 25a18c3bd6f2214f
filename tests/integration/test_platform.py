"""The embedded servers under everything that a machine does to them: races, kills, foreign files, taken
ports, long paths.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from fvi_pipeline.platform.bootstrap import SCHEMAS, bootstrap
from fvi_pipeline.platform.database import advisory_lock, connect
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.postgres import EmbeddedPostgres
from fvi_pipeline.platform.processes import processes_in
from fvi_pipeline.platform.servers import ServerLost, Servers, down, running_servers, status, up
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from fvi_pipeline.platform.valkey import EmbeddedValkey
from tests.commands import BIN, clean_environment, run_fvi

_HOLD = """
import sys, time
from pathlib import Path
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import Settings
with running_servers(Settings(home=Path(sys.argv[1]), database_url=None, redis_url=None)):
    print("up", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _settings(home: Path, **values: object) -> Settings:
    return Settings(**{"home": home, "database_url": None, "redis_url": None, "redis_port": None} | values)  # type: ignore[arg-type]


def _holder(home: Path, seconds: float) -> subprocess.Popen[str]:
    """A process of its own that uses the home's servers for a while."""
    return subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home), str(seconds)],
        env=clean_environment(home),
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _running(home: Path) -> tuple[int, int]:
    """How many PostgreSQL postmasters and Valkeys run in the home."""
    postgres = {process.pid: _parent(process) for process in processes_in(home / "postgres", "postgres")}
    masters = [pid for pid, parent in postgres.items() if parent is not None and parent not in postgres]
    return len(masters), len(processes_in(home / "valkey", "valkey-server"))


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


def _wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _value(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("select value from ops.kept").fetchone()
    return row[0] if row else None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that several tests share; each leaves its servers stopped."""
    folder = tmp_path_factory.mktemp("shared-home")
    with running_servers(_settings(folder)) as servers, psycopg.connect(servers.database_url) as connection:
        connection.execute("create table ops.kept (value int)")
        connection.execute("insert into ops.kept values (42)")
        with redis.Redis.from_url(servers.redis_url) as client:
            client.set("kept", "42")
    yield folder
    down(_settings(folder), force=True)


# --- starting -------------------------------------------------------------------------------------


def test_commands_that_start_at_once_share_one_pair_of_servers(tmp_path: Path) -> None:
    commands = [_holder(tmp_path, 1) for _ in range(4)]
    _wait_until(lambda: _running(tmp_path) == (1, 1))
    results = [command.communicate(timeout=60) for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0, 0], results
    assert _running(tmp_path) == (0, 0)


def test_a_start_that_is_killed_in_initdb_is_made_good_by_the_next(tmp_path: Path) -> None:
    command = _holder(tmp_path, 60)
    _wait_until(lambda: any(tmp_path.glob("postgres.making-*/PG_VERSION")))
    command.send_signal(signal.SIGKILL)
    command.communicate(timeout=10)
    assert not (tmp_path / "postgres").exists()
    with running_servers(_settings(tmp_path)) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with running_servers(_settings(tmp_path)):
        pass
    assert not list(tmp_path.glob("postgres.making-*"))


def test_servers_that_were_killed_come_back_with_what_they_held(home: Path) -> None:
    with running_servers(_settings(home)) as servers:
        for server in status(_settings(home)):
            assert server.pid is not None
            psutil.Process(server.pid).kill()
        with running_servers(_settings(home)) as again:
            assert again == servers
            assert _value(again.database_url) == 42
            with redis.Redis.from_url(again.redis_url) as client:
                assert client.get("kept") == b"42"


def test_a_busy_child_of_a_killed_postmaster_does_not_hold_up_the_next_start(home: Path) -> None:
    with running_servers(_settings(home)) as servers:
        busy = psycopg.connect(servers.database_url)
        query = "select count(*) from generate_series(1, 1000000000)"
        ended = threading.Event()

        def work() -> None:
            with contextlib.suppress(psycopg.OperationalError):
                busy.execute(query)
            ended.set()

        threading.Thread(target=work, daemon=True).start()
        with psycopg.connect(servers.database_url) as other:
            active = "select count(*) = 1 from pg_stat_activity where query = %s and state = 'active'"
            _wait_until(lambda: other.execute(active, [query]).fetchone() == (True,))
        pid = EmbeddedPostgres(home).pid()
        assert pid is not None
        psutil.Process(pid).kill()
        with running_servers(_settings(home)) as again:
            assert _value(again.database_url) == 42
        assert ended.wait(10)


def _lose_the_server(home: Path) -> None:
    """Use the home's PostgreSQL, kill it while a query runs, and use it again."""
    with running_servers(_settings(home)) as servers:
        busy = psycopg.connect(servers.database_url)
        busy.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000)")
        pid = EmbeddedPostgres(home).pid()
        assert pid is not None
        killed = psutil.Process(pid)
        killed.kill()
        _wait_until(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)
        psycopg.connect(servers.database_url)


def test_a_server_that_ends_under_a_command_is_told_and_leaves_no_child(home: Path) -> None:
    with pytest.raises(ServerLost, match="Run the same command again") as lost:
        _lose_the_server(home)
    assert isinstance(lost.value.__cause__, psycopg.OperationalError)
    assert not processes_in(home / "postgres", "postgres")
    with running_servers(_settings(home)) as servers:
        assert _value(servers.database_url) == 42


def test_an_error_beside_the_servers_stays_itself(home: Path) -> None:
    with pytest.raises(ZeroDivisionError), running_servers(_settings(home)):
        _ = 1 / 0


def test_a_pid_file_whose_number_another_program_has_now_is_stale(home: Path) -> None:
    assert EmbeddedPostgres(home).pid() is None
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        lines = [bystander.pid, home / "postgres", 1700000000, 5432, home / "postgres", "", "1 1", "ready"]
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (home / "postgres" / name).write_text("\n".join(map(str, lines)) + "\n")
        assert EmbeddedPostgres(home).pid() is None
        with running_servers(_settings(home)) as servers:
            assert _value(servers.database_url) == 42
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("content", ["", "not a number\n"])
def test_a_damaged_pid_file_is_stale(home: Path, content: str) -> None:
    (home / "postgres" / "postmaster.pid").write_text(content)
    with running_servers(_settings(home)) as servers:
        assert _value(servers.database_url) == 42


def test_a_valkey_whose_state_file_is_lost_is_replaced_not_doubled(home: Path) -> None:
    with running_servers(_settings(home)) as servers:
        (home / "valkey" / "server.json").unlink()
        with running_servers(_settings(home)) as again:
            assert _running(home) == (1, 1)
            assert again.redis_url != servers.redis_url
            with redis.Redis.from_url(again.redis_url) as client:
                assert client.get("kept") == b"42"


def test_a_home_with_a_long_or_odd_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("long-" + "x" * 100) / "it's a, folder" / "home"
    with running_servers(_settings(deep)) as servers, psycopg.connect(servers.database_url) as connection:
        assert len(str(deep)) > 107
        assert connection.execute("select 1").fetchone() == (1,)
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()


# --- what is in the way ---------------------------------------------------------------------------


def test_a_taken_port_is_a_clear_error_and_leaves_nothing_running(home: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with (
            pytest.raises(PlatformError, match=rf"Port {port} \(FVI_REDIS_PORT\) is taken"),
            running_servers(_settings(home, redis_port=port)),
        ):
            pass
    assert _running(home) == (0, 0)


def test_a_free_port_may_be_chosen(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running_servers(_settings(home, redis_port=port)) as servers:
        assert f"@127.0.0.1:{port}/" in servers.redis_url


def test_a_home_that_cannot_be_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    taken = tmp_path / "taken"
    (taken / "servers.users").mkdir(parents=True)
    for place, reason in (
        (file, "is a file"),
        (file / "below", "cannot be written"),
        (taken, "cannot be written"),
    ):
        with pytest.raises(PlatformError, match=reason), running_servers(_settings(place)):
            pass
    assert file.read_text() == "mine"
    failed = run_fvi(clean_environment(file), "up", timeout=30)
    assert failed.returncode == 1
    assert "is a file" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_foreign_folder_named_postgres_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "postgres" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with (
        pytest.raises(PlatformError, match="not a PostgreSQL folder of FVI"),
        running_servers(_settings(tmp_path)),
    ):
        pass
    (precious.parent / "PG_VERSION").write_text("18\n")  # somebody else's cluster
    with (
        pytest.raises(PlatformError, match="not a PostgreSQL folder of FVI"),
        running_servers(_settings(tmp_path)),
    ):
        pass
    assert precious.read_text() == "years of work"
    assert sorted(path.name for path in precious.parent.iterdir()) == ["PG_VERSION", "thesis.txt"]


def test_a_cluster_of_another_version_is_left_alone(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    (cluster / "fvi.conf").write_text("")
    with pytest.raises(PlatformError, match="made by PostgreSQL 15"), running_servers(_settings(tmp_path)):
        pass
    assert (cluster / "PG_VERSION").read_text() == "15\n"


# --- servers of the user's own --------------------------------------------------------------------


def test_servers_of_the_users_own_are_used_and_none_is_started(servers: Servers, tmp_path: Path) -> None:
    settings = _settings(tmp_path, database_url=servers.database_url, redis_url=servers.redis_url)
    for _ in range(2):  # the second time must not take the first one's addresses for embedded servers
        with running_servers(settings) as used:
            assert used == servers
            assert _running(tmp_path) == (0, 0)
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "valkey").exists()
    assert [server.embedded for server in status(settings)] == [False, False]


@pytest.mark.parametrize(
    ("dead", "variable"),
    [
        ({"database_url": "postgresql://u:secret@127.0.0.1:1/d"}, "FVI_DATABASE_URL"),
        ({"redis_url": "redis://:secret@127.0.0.1:1/0"}, "FVI_REDIS_URL"),
    ],
)
def test_a_dead_server_of_the_users_own_is_a_clear_error(home: Path, dead: dict[str, str], variable: str) -> None:
    with pytest.raises(PlatformError, match=variable) as caught, running_servers(_settings(home, **dead)):
        pass
    assert "secret" not in str(caught.value)
    assert _running(home) == (0, 0)


# --- leases ---------------------------------------------------------------------------------------


def test_the_last_user_stops_the_servers_however_the_others_ended(home: Path) -> None:
    with running_servers(_settings(home)):
        killed = _holder(home, 60)
        assert killed.stdout is not None
        assert killed.stdout.readline() == "up\n"
        with running_servers(_settings(home)):
            pass
        assert _running(home) == (1, 1)
        with pytest.raises(PlatformError, match="Another command is using"):
            down(_settings(home))
        killed.kill()
        killed.communicate()
    assert _running(home) == (0, 0)


def test_servers_stop_although_a_folder_above_was_closed_meanwhile(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    with running_servers(_settings(closed / "home")):
        closed.chmod(0o700)  # as root, PostgreSQL's own user cannot pass it any more
    assert _running(closed / "home") == (0, 0)


def test_up_keeps_the_servers_until_down(home: Path) -> None:
    kept = up(_settings(home))
    with running_servers(_settings(home)) as servers:
        assert servers == kept
    assert _running(home) == (1, 1)
    down(_settings(home))
    assert _running(home) == (0, 0)
    down(_settings(home))  # nothing to do is no error


def test_the_exported_environment_serves_a_plain_shell(home: Path, tmp_path: Path) -> None:
    check = (
        "import os, psycopg, redis;"
        "print(psycopg.connect('').execute('select value from ops.kept').fetchone()[0]);"
        "print(psycopg.connect(os.environ['FVI_DATABASE_URL']).execute('select "
        "current_database()').fetchone()[0]);"
        "print(psycopg.connect(os.environ['FVI_OPTUNA_STORAGE_URL']).execute('select "
        "current_schema()').fetchone()[0]);"
        "print(redis.Redis.from_url(os.environ['FVI_REDIS_URL']).get('kept').decode())"
    )
    export = f"{shlex.quote(str(BIN / 'fvi'))} env"
    # a second eval in the same shell must see the embedded servers as such, not as servers of the user's own
    script = f'set -e; eval "$({export})"; eval "$({export})"; cd /; python -c {shlex.quote(check)}'
    try:
        result = subprocess.run(
            ["bash", "-c", script],
            env=clean_environment(home) | {"PGPORT": "1", "PGHOST": "nowhere", "PGUSER": "nobody"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        down(_settings(home))
    assert result.stdout.split() == ["42", "fvi", "optuna", "42"], result.stderr


# --- schemas and tables ---------------------------------------------------------------------------


def test_bootstrap_may_run_several_times_at_once(servers: Servers) -> None:
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute("create database bootstrap_race")
    url = servers.database_url.replace("/fvi?", "/bootstrap_race?")
    failures: list[BaseException] = []

    def one() -> None:
        try:
            with connect(url) as connection:
                bootstrap(connection)
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with psycopg.connect(url) as connection:
        names = {row[0] for row in connection.execute("select nspname from pg_namespace")}
        assert set(SCHEMAS) <= names
        connection.execute("lock table ops.stage_runs in access exclusive mode")
        with connect(url) as other:
            bootstrap(other)  # nothing is missing, so it waits for nobody's lock
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute("drop database bootstrap_race with (force)")


def test_the_error_of_a_locked_block_is_the_one_that_is_seen(servers: Servers) -> None:
    with connect(servers.database_url) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable), advisory_lock(connection, "test.lock"):
            connection.execute("select * from no_such_table")
        with connect(servers.database_url) as other:
            taken = "select pg_try_advisory_lock(hashtextextended('test.lock', 0))"
            assert other.execute(taken).fetchone() == (True,)


def test_a_second_valkey_is_never_started_over_the_same_files(home: Path) -> None:
    valkey = EmbeddedValkey(home)
    url = valkey.start()
    try:
        assert EmbeddedValkey(home, 1).start() == url  # a running one keeps its port
        assert _running(home)[1] == 1
    finally:
        valkey.stop()
