"""What every training run has: a clock that survives restarts, a log, saving on time and on SIGTERM."""
import os
import signal
import time
from pathlib import Path

import torch


def save_whole(value, path):
    """torch.save that leaves the old file until the new one is whole."""
    part = Path(str(path) + ".part")
    torch.save(value, part)
    os.replace(part, path)


class Run:
    """minutes, max_steps (0: any number): of this call. A run stops when they are over, or cleanly after the step in which
    SIGTERM or SIGINT came."""

    def __init__(self, out, minutes, max_steps, save_minutes):
        self.out = Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.minutes, self.max_steps, self.save_minutes = minutes, max_steps, save_minutes
        self.step = self.first_step = 0
        self.minutes_before = 0.0  # of earlier calls
        self._start = self._saved = self._logged = time.monotonic()
        self._log = open(self.out / "log.txt", "a")
        self._stopped = False
        self._sums, self._n = {}, 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_):
        self._stopped = True

    @property
    def state_path(self):
        return self.out / "state.pt"

    def resume_at(self, step, minutes):
        self.step = self.first_step = step
        self.minutes_before = minutes
        self.say(f"resumed at step {step}")

    def minutes_here(self):
        return (time.monotonic() - self._start) / 60

    def minutes_in_all(self):
        return self.minutes_before + self.minutes_here()

    def fraction(self):
        """How much of this call is over, 0..1."""
        by_steps = self.steps_here() / self.max_steps if self.max_steps else 0.0
        return min(1.0, max(self.minutes_here() / self.minutes, by_steps))

    def going(self):
        return self.fraction() < 1 and not self._stopped

    def steps_here(self):
        return self.step - self.first_step

    def say(self, line):
        print(line, flush=True)
        self._log.write(line + "\n")
        self._log.flush()

    def add(self, **values):
        """One step's figures, averaged until they are logged."""
        self.step += 1
        self._n += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)

    def log_every(self, seconds, extra=""):
        passed = time.monotonic() - self._logged
        if passed < seconds or self._n == 0:
            return
        figures = " ".join(f"{name} {value / self._n:.4f}" for name, value in self._sums.items())
        self.say(f"step {self.step} min {self.minutes_in_all():.1f} {figures} s/step {passed / self._n:.2f} {extra}".rstrip())
        self._sums, self._n, self._logged = {}, 0, time.monotonic()

    def time_to_save(self):
        if time.monotonic() - self._saved < self.save_minutes * 60:
            return False
        self._saved = time.monotonic()
        return True
