"""Bad inputs: services, and those who ask them."""

from __future__ import annotations

from tests.helpers.bad_inputs.kinds import bad

NOBODY = "http://127.0.0.1:1"
"""Where no service is."""

SERVING = (
    bad("serve --no-ray --port 0 --model runs/x"),
    bad("serve --no-ray --port 0 --model sudoku10"),
    bad("serve --no-ray --model runs/r runs/r"),
    bad("serve --no-ray --replicas 2"),
    bad("serve --no-ray --gpus-per-replica 0.5"),
    bad("serve --no-ray --port http"),
    bad("serve --no-ray --port 80000"),
    bad("serve --no-ray --host 'my machine'"),
    bad("serve --no-ray --host 192.0.2.1"),
    bad("serve --no-ray --slots 0"),
    bad("serve --no-ray --time-limit 0"),
    bad("serve --no-ray --queue -1"),
    bad(f"solve --url {NOBODY} --random easy"),
    bad("solve --url 127.0.0.1:8000 --random easy"),
    bad("solve --url ftp://127.0.0.1 --random easy"),
    bad(f"solve --url {NOBODY} --random easy --device cpu"),
    bad(f"solve --url {NOBODY} --random easy --search --chains 2"),
    bad(f"solve --url {NOBODY} --random easy --puzzle 1234"),
)
