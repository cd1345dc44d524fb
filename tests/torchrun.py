"""Two processes of torch, which its torchrun starts on this machine."""

import os
import subprocess
import sys

from tests import ROOT


def on_two_processes(script, folder, *arguments, limit, options=(), environment=None):
    """Run a text as a script in a folder, with the folder and more arguments; torchrun ends after limit seconds."""
    file = folder / "script.py"
    file.write_text(script)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *options]
    variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | (environment or {})
    if sys.platform == "linux":
        variables["GLOO_SOCKET_IFNAME"] = "lo"  # no look-up of the machine's own name
    return subprocess.run(
        [*torchrun, str(file), str(folder), *map(str, arguments)], cwd=folder, env=os.environ | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
    )  # fmt: skip
