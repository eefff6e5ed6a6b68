"""The commands of `cargo xtask bench`, which measures two processes in turns; bench/src/main.rs describes them."""

import resource
import sys
import time


def serve(cases):
    """`cases` maps a name to a function that makes the tensors and returns what is measured."""
    run = None
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "list":
            print(" ".join(cases), flush=True)
        elif command == "prepare":
            run = None
            if argument in cases:
                run = cases[argument]()
                run()
                run()
            print("ready" if run else "unknown", flush=True)
        elif command == "run":
            times, begin = [], time.perf_counter()
            while not times or time.perf_counter() - begin < float(argument):
                start = time.perf_counter()
                result = run()
                times.append(f"{(time.perf_counter() - start) * 1e3:.5f}")
                del result
            print(" ".join(times), flush=True)
        elif command == "memory":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
