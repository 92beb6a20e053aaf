"""Peak memory of a fit: no D x V or B x V array is made, measured in a subprocess."""

import json
import subprocess
import sys

import pytest

# V = 200,000 and B = 1,000: a B x V float32 array would take 800 MB, a D x V one 1,600 MB.
SCRIPT = """
import json, sys, threading, time
import numpy as np, scipy.sparse as sp
from topicnet import ETM
from topicnet.models import fitting

fitting.EM_PASSES, fitting.WARM_UP_STEPS = 5, 10  # further passes need the same memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

hidden_dim, embedding_dim = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
D, V, n = 2000, 200_000, 100
X = sp.csr_matrix((np.ones(D * n, np.float32), rng.integers(V, size=D * n), np.arange(0, D * n + 1, n)), shape=(D, V))
ETM(n_topics=2, max_epochs=1, random_state=0).fit(X[:50, :300] + sp.csr_matrix(np.ones((50, 300))))
before = highest = resident()
running = True

def watch():
    global highest
    while running:
        highest = max(highest, resident())
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
model = ETM(20, hidden_dim=hidden_dim, embedding_dim=embedding_dim, batch_size=1000, max_epochs=1, random_state=0)
model.fit(X)
model.transform(X, refine=2)
running = False
watcher.join()
parameters = 4 * sum(p.numel() for p in model.network_.parameters())
print(json.dumps({"peak": highest - before, "parameters": parameters}))
"""


def measured(hidden_dim, embedding_dim):
    command = [sys.executable, "-c", SCRIPT, str(hidden_dim), str(embedding_dim)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_a_narrow_network_stays_within_300_mb_beyond_parameters_and_optimiser_state():
    """With Adam's two moments per parameter, training state is 3 times the parameters."""
    use = measured(64, 32)
    assert use["peak"] - 3 * use["parameters"] < 300e6


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_the_default_network_stays_within_300_mb_beyond_its_training_state():
    """With gradients and the best weights as well, training state is 5 times the parameters."""
    use = measured(256, 100)
    assert use["peak"] - 5 * use["parameters"] < 300e6
