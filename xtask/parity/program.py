"""Running `libellus`."""

import json
import subprocess


class Failure(Exception):
    pass


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
    return done.stdout


def listed(program, *command):
    return json.loads(run(program, *command, "--json"))
