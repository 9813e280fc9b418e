"""Error answers of servers that speak RESP, and of proxies in front of them.

The texts are from their sources: Redis 8.0 and Valkey 9.1 (server.c, script.c, sentinel.c, cluster.c), Envoy
(redis_proxy's command_splitter_impl), twemproxy (msg_get_error: strerror of its connection) and HAProxy.
"""

from __future__ import annotations

SHA = "2e7d01e4fcded40a5b39f9f096832ed6b58e1c54"

REDIS = (
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "BUSY Redis is busy running a module command.",
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script "
    "termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
    "may modify the data set are disabled, because this instance is configured to report errors during writes if RDB "
    "snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
    "error.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOREPLICAS Not enough good replicas to write.",
    f"OOM command not allowed when used memory > 'maxmemory'. script: {SHA}, on @user_script:12.",
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
    "NOPERM User default has no permissions to run the 'evalsha' command",
    f"ERR ACL failure in script: User default has no permissions to run the 'hget' command script: {SHA}, on "
    "@user_script:3.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    "default user.",
    "ERR max number of clients reached",
    f"WRONGTYPE Operation against a key holding the wrong kind of value script: {SHA}, on @user_script:7.",
    f"ERR Unknown Redis command called from script script: {SHA}, on @user_script:2.",
    "EXECABORT Transaction discarded because of previous errors.",
    "NOSCRIPT No matching script. Please use EVAL.",
)
VALKEY = (
    "LOADING Valkey is loading the dataset in memory",
    "OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:12.",
    "REDIRECT 10.0.0.7:6379",
    "NOSCRIPT No matching script.",
)
REPLICAS = (
    "READONLY You can't write against a read only replica.",
    f"READONLY You can't write against a read only replica. script: {SHA}, on @user_script:12.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
)
CLUSTER = (
    "MOVED 5474 10.0.0.7:6379",
    "ASK 5474 10.0.0.7:6379",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN Hash slot not served",
    "CLUSTERDOWN The cluster is down",
    "CROSSSLOT Keys in request don't hash to the same slot",
)
SENTINEL = (
    "IDONTKNOW",
    "INPROG Failover already in progress",
    "NOGOODSLAVE No suitable replica to promote",
    "ERR unknown command 'EVALSHA', with args beginning with: '2e7d01e4fcded40a5b39f9f096832ed6b58e1c54' '6' ",
)
ENVOY = ("upstream failure", "no upstream host", "upstream protocol error", "invalid request")
TWEMPROXY = ("ERR Connection timed out", "ERR Connection refused", "ERR Host is down", "ERR unknown")
NOBODY_KNOWS = ("BANANA this word is in no source", "ERR a sentence that no server has written yet")

TEXTS = (*REDIS, *VALKEY, *REPLICAS, *CLUSTER, *SENTINEL, *ENVOY, *TWEMPROXY, *NOBODY_KNOWS)
GARBAGE = (
    b"HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n",  # HAProxy
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n",  # TLS where none was expected
    b"$3\r\n\xff\xfe\xfd\r\n",  # not UTF-8
    b"$-1\r\n",  # nil: well-formed, but no answer of a script
)
ANSWERS = (*(f"-{text}\r\n".encode() for text in TEXTS), *GARBAGE)
