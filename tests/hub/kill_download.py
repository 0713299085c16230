#!/usr/bin/env python3
"""Kills csm pull with SIGKILL at random moments of a download, over and over, and lets it finish in the end.

kill_download.py CSM [--repeats 50] [--megabytes 24] [--together 2] [--seed 1]

After every kill: no blob in the cache is other than what its name says, the model is not taken for whole before it is, and
the offline command says so. Each download starts anew after it was whole, so that moments near the end come often too.
"""
import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REPO = "tiny/killed"


def check(holds, text):
    if not holds:
        sys.exit("FAILED: " + text)


def write_model(folder, n_bytes, seed):
    """A repository with weights in three shards, whose headers are right and whose contents are noise."""
    folder.mkdir(parents=True)
    noise = random.Random(seed)
    weight_map = {}
    for i in range(3):
        tensor = f"codec_model.encoder.layers.{i}.conv.weight"
        count = n_bytes // 12
        header = json.dumps({tensor: {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
        name = f"model-0000{i + 1}-of-00003.safetensors"
        (folder / name).write_bytes(len(header).to_bytes(8, "little") + header + noise.randbytes(4 * count))
        weight_map[tensor] = name
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        (folder / name).write_text(json.dumps({"noise": noise.random()}))


def hashes(path):
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def check_cache(cache, source):
    """Every finished blob is what its name says; every link leads to the right bytes."""
    repo = cache / ("models--" + REPO.replace("/", "--"))
    for blob in (repo / "blobs").glob("*"):
        if not blob.name.endswith(".incomplete"):
            check(blob.name in hashes(blob), f"blob {blob.name} holds other bytes than its name says")
    files = [p for p in (repo / "snapshots").glob("*/*")]
    for link in files:
        check(link.is_symlink() and link.exists(), f"{link} leads to nothing")
        check(link.read_bytes() == (source / link.name).read_bytes(), f"{link.name} differs from what was published")
    whole = len(files) == len([p for p in source.iterdir()])
    check(whole or not (repo / "refs" / "main").exists(), "the revision stands for a model that is not whole")
    return whole


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("csm")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=24)
    parser.add_argument("--together", type=int, default=2, help="processes at the same time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="csm_kill_") as scratch:
        scratch = Path(scratch)
        source, cache = scratch / "hub" / REPO, scratch / "cache"
        write_model(source, options.megabytes * 1_000_000, options.seed)
        server = subprocess.Popen([sys.executable, str(Path(__file__).with_name("hub_server.py")), str(scratch / "hub")],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        endpoint = f"http://127.0.0.1:{json.loads(server.stdout.readline())['hub']}"
        rules = [{"match": "GET cdn", "piece": 1 << 18, "delay": 0.01}]
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        direct.open(urllib.request.Request(endpoint + "/_rules", data=json.dumps(rules).encode()))
        environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0",
                       "XDG_CACHE_HOME": str(scratch / "xdg"), "HF_TOKEN": "hf_test", "no_proxy": "127.0.0.1"}
        command = [options.csm, "pull", REPO, "--quiet"]

        def pull():
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

        begin = time.monotonic()
        first = pull()
        check(first.wait(timeout=600) == 0, "the first download does not work: " + first.stderr.read().decode())
        duration = time.monotonic() - begin
        check(check_cache(cache, source), "the first download is not whole")
        n_killed = n_whole = n_finished = 0
        subprocess.run(["rm", "-rf", str(cache)], check=True)
        while n_killed < options.repeats:
            processes = [pull() for _ in range(options.together)]
            time.sleep(moments.uniform(0, 1.1 * duration))
            for process in processes:
                n_killed += process.poll() is None
                process.kill()
                process.communicate()
            whole = cache.exists() and check_cache(cache, source)
            offline = subprocess.run([options.csm, "inspect", REPO], env={**environment, "HF_HUB_OFFLINE": "1"},
                                     capture_output=True, text=True)
            named = "not whole in the cache" in offline.stderr
            check(whole or named, "an unfinished model was taken for whole: " + offline.stderr)
            if whole and (cache / ("models--" + REPO.replace("/", "--")) / "refs" / "main").exists():
                n_whole += 1
                subprocess.run(["rm", "-rf", str(cache)], check=True)
            elif moments.random() < 0.2:
                check(pull().wait(timeout=600) == 0, "the run after a kill does not finish")
                check(check_cache(cache, source), "the run after a kill is not whole")
                n_finished += 1
                subprocess.run(["rm", "-rf", str(cache)], check=True)
        final = pull()
        check(final.wait(timeout=600) == 0, "the last run does not finish")
        check(check_cache(cache, source), "the last run is not whole")
        left = [p.name for p in cache.rglob("*.incomplete")]
        check(not left, f"left over: {left}")
        server.stdin.close()
        server.wait(timeout=60)
        print(f"{n_killed} processes killed; {n_whole} downloads were whole by then, {n_finished + 1} runs after a kill "
              f"finished; nothing corrupt was kept")


main()
