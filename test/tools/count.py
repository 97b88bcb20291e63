# Reads what the suites left in a build folder and ends with one line: "N passed, N failed".
#
#   count.py BUILD STATUS      STATUS: what ctest returned
#
# Fails if a test failed, if a suite left no results (it crashed), or if ctest failed for another reason: each counts as a failure.
import glob
import json
import os
import sys


def gtest_results(path):
    """Yields (name, code, output) of a GoogleTest report: code is PASS, FAIL or SKIP."""
    with open(path) as file:
        report = json.load(file)
    kind = os.path.basename(path).removeprefix("results-").removesuffix(".json")
    for suite in report["testsuites"]:
        for test in suite["testsuite"]:
            name = f"{kind} :: {suite['name']}.{test['name']}"
            if test.get("failures"):
                yield name, "FAIL", "\n".join(failure["failure"] for failure in test["failures"])
            elif test.get("result") == "COMPLETED":
                yield name, "PASS", ""
            else:
                yield name, "SKIP", ""


def lit_results(path):
    """Yields (name, code, output) of a lit report: code is PASS, FAIL or SKIP."""
    with open(path) as file:
        report = json.load(file)
    for test in report["tests"]:
        if test["code"] in ("PASS", "FLAKYPASS", "XFAIL"):
            yield test["name"], "PASS", ""
        elif test["code"] in ("UNSUPPORTED", "SKIPPED", "EXCLUDED"):
            yield test["name"], "SKIP", ""
        else:
            yield test["name"], "FAIL", test["output"]


def main():
    build, status = sys.argv[1], int(sys.argv[2])
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    failed = []
    suites = [("unit", gtest_results, os.path.exists(os.path.join(build, "bin/doppel-unit-tests"))),
              ("cuda", gtest_results, os.path.exists(os.path.join(build, "bin/doppel-cuda-tests"))),
              ("codegen", gtest_results, os.path.exists(os.path.join(build, "bin/doppel-codegen-tests"))),
              ("lit", lit_results, os.path.exists(os.path.join(build, "test/lit.site.cfg.py")))]
    for suite, results, expected in suites:
        path = os.path.join(build, f"results-{suite}.json")
        try:
            for name, code, output in results(path):
                counts[code] += 1
                if code == "FAIL":
                    failed.append(name)
                    print(f"---- {name}", *output.splitlines()[-40:], sep="\n")
        except (OSError, ValueError, KeyError) as error:
            if expected:
                counts["FAIL"] += 1
                failed.append(f"{suite}: the suite left no results ({error})")
    if status != 0 and not failed:
        counts["FAIL"] += 1
        failed.append(f"ctest ended with status {status}")
    if counts["PASS"] == 0 and not failed:
        counts["FAIL"] += 1
        failed.append("no test ran")
    for name in sorted(failed):
        print(f"FAILED {name}")
    if counts["SKIP"]:
        print(f"{counts['SKIP']} not run: this machine lacks what they need")
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed")
    sys.exit(1 if failed else 0)


main()
