# Races of commands, for the scripts that measure; sourced from the top of the repository.
#
#   RUNS=5        runs of each command, in turn; the median counts, with the lowest and the highest
#   PEER_RUNS=n   runs of each of the others, if they are to be fewer
#   PEERS=...     which of kingfisher, gitleaks and betterleaks take part; empty for none
#   STANCH=path   the program (default: target/release/stanch, which is built)

[ -x /usr/bin/time ] || { echo "error: time is not installed; hint: sudo apt-get install time" >&2; exit 1; }
runs=${RUNS:-5}
peer_runs=${PEER_RUNS:-$runs}
peers_chosen=${PEERS-kingfisher gitleaks betterleaks}
if [ -z "${STANCH:-}" ]; then
  cargo build --quiet --release --no-default-features --features scan
fi
stanch=$(realpath "${STANCH:-target/release/stanch}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# lane RUNS NAME COMMAND...: takes part in the next race.
lane() { (IFS=$'\x1f' && printf '%s\n' "$*" >>"$scratch/lanes"); }

# race TITLE [STDIN]: runs all lanes in turn and prints a table in Markdown.
race() {
  python3 - "$scratch/lanes" "$1" "${2:-/dev/null}" <<'PY'
import os, statistics, subprocess, sys, time

memory = sys.argv[1] + ".memory"
lanes = [line.rstrip("\n").split("\x1f") for line in open(sys.argv[1])]
rows = [[] for _ in lanes]
for turn in range(max(int(lane[0]) for lane in lanes)):
    for lane, row in zip(lanes, rows):
        if turn >= int(lane[0]):
            continue
        with open(sys.argv[3], "rb") as stdin:
            began = time.perf_counter()
            # `time`, because what this process holds would count as the child's until it is another program.
            command = ["/usr/bin/time", "-q", "-f", "%M", "-o", memory, *lane[2:]]
            child = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - began
        # Findings, an incomplete scan and kingfisher's own codes are no failure.
        if os.waitstatus_to_exitcode(status) not in (0, 1, 3, 200, 205):
            sys.exit(f"error: `{lane[1]}` ended with {os.waitstatus_to_exitcode(status)}")
        # Of a command that starts others: the CPU time of all, the memory of the largest.
        row.append((wall, used.ru_utime + used.ru_stime, int(open(memory).read()) / 1024))

print(f"\n{sys.argv[2]}\n\n| | wall | lowest to highest | CPU | peak memory |\n|---|---|---|---|---|")
for lane, row in zip(lanes, rows):
    walls = sorted(wall for wall, _, _ in row)
    digits = 3 if walls[-1] < 2 else 2
    cpu, memory = (statistics.median(column) for column in list(zip(*row))[1:])
    span = f"{walls[0]:.{digits}f} to {walls[-1]:.{digits}f}" if len(walls) > 1 else "one run"
    print(f"| {lane[1]} | {statistics.median(walls):.{digits}f} s | {span} | {cpu:.{digits}f} s | {memory:.0f} MiB |")
PY
  rm "$scratch/lanes"
}
