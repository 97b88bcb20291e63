"""Reads a method of the ssl dialect and prints each view on a line of its own: NAME: stage(option=value, ...) | stage(...) ..."""
import re
import sys


def value(text):
    """A number or a list of numbers in the shortest form."""
    array = re.fullmatch(r"array<f64: (.*)>", text)
    if array:
        return "[" + ", ".join(value(each) for each in array.group(1).split(", ")) + "]"
    number = re.fullmatch(r"(-?[0-9.e+-]+)( : \w+)?", text)
    return f"{float(number.group(1)):.5g}" if number else text.strip('"')


def stage(name, options):
    found = re.findall(r"(\w+) = (array<[^>]*>|[^,}]+)", options)
    return f"{name}({', '.join(f'{key}={value(text)}' for key, text in found)})"


pipelines = {}
for line in sys.stdin:
    augment = re.match(r"\s*(%\w+) = nn\.augment ", line)
    view = re.match(r'\s*ssl\.view "(\w+)" (%\w+)', line)
    if augment:
        stages = re.findall(r"#nn\.stage<(\w+), \{((?:[^{}])*)\}>", line)
        pipelines[augment.group(1)] = " | ".join(stage(*found) for found in stages)
    if view:
        print(f"{view.group(1)}: {pipelines[view.group(2)]}")
