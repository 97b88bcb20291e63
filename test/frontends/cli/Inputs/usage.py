# Holds the list of options (frontends/cli/Usage.h) against every command's --help, and asks a command for an option of another.
import re
import subprocess
import sys

source = open(sys.argv[1]).read()
names = re.findall(r'"(\w+)"', re.search(r"commandNames = \{(.*?)\}", source, re.DOTALL).group(1))
listed = {}
for option, commands in re.findall(r'\{"(--[\w-]+)",\s*"([^"]+)"\}', source):
    listed[option] = set(commands.split())


def doppel(*words):
    return subprocess.run(["doppel", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


found = {}
for name in names:
    for option in re.findall(r"^  .*?(--[\w-]+)", doppel("help", name).stdout, re.MULTILINE):
        found.setdefault(option, set()).add(name)
for option in sorted(found.keys() | listed.keys()):
    assert found.get(option) == listed.get(option), f"{option}: help has {found.get(option)}, Usage.h {listed.get(option)}"

for option in sorted(found):
    strangers = [name for name in ("run", "eval", "fmt") if name not in found[option]]
    if strangers:
        done = doppel(strangers[0], option)
        assert done.returncode == 2 and f"'{strangers[0]}' has no option {option}; '" in done.stdout, (option, done.stdout)
        assert all(f"'{name}'" in done.stdout for name in found[option]), done.stdout
print(f"{len(found)} options of {len(names)} commands")
