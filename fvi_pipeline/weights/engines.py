"""Where the information gain is computed: polars in this process, or Spark. What is computed does not belong here.

Spark reads the Parquet export and never the warehouse: executors have no way to its socket, and a hundred of them
would be a hundred connections.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import narwhals.stable.v2 as nw
import polars as pl

from fvi_pipeline.weights.errors import EngineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Engine = Literal["polars", "spark"]
# a window without partitions is what one metric's quantiles are: the warning of each says nothing new
_LOG_LEVEL = "ERROR"


@contextmanager
def scan_parquet(path: Path, engine: Engine, spark_master: str) -> Iterator[nw.LazyFrame[Any]]:
    """The rows of a Parquet file on an engine, to be collected within the block.

    Args:
        path: the file; for a cluster, where its executors see it too.
        engine: `polars` or `spark`.
        spark_master: address of Spark's master, such as `local[*]` or `spark://host:7077`.

    Raises:
        EngineError: the file is missing, or Spark cannot start; the message says what to install or set.
    """
    if not path.exists():
        raise EngineError(f"{path} is missing. Materialise exports/metric_history, or use `fvi run`.")
    if engine == "polars":
        yield nw.from_native(pl.scan_parquet(path))
        return
    session = _spark(spark_master)
    try:
        yield nw.from_native(session.read.parquet(str(path)))
    finally:
        session.stop()


def _spark(master: str) -> SparkSession:
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EngineError("FVI_ENGINE=spark needs PySpark: pip install 'fvi[spark]', or `make spark`.") from error
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise EngineError("FVI_ENGINE=spark needs Java 17 or newer: apt-get install default-jre-headless.")
    builder = (
        SparkSession.builder.master(master)
        .appName("fvi: information gain")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", _LOG_LEVEL)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.showConsoleProgress", "false")
    )
    if master.startswith("local"):
        # on loopback alone; the defaults look up the machine's name, which a laptop between networks has not
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
        # 200, the default, is for clusters: here most of them would be empty
        builder = builder.config("spark.sql.shuffle.partitions", str(os.cpu_count() or 1))
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, RuntimeError) as error:
        # of Java's errors the trace has dozens of lines; the cause stands in the log
        raise EngineError(
            f"Spark does not start on {master}. Is the master there, and Java 17 or newer? Check FVI_SPARK_MASTER."
        ) from error
