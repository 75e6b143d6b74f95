"""The arithmetic of generated Dart, rewritten as JavaScript: it uses what both languages have, under other names."""

import re

# Methods of Dart's numbers and lists as far as the generated code calls them. Numbers here are never negative where it
# rounds, so both languages round alike.
_METHODS = """
for (const name of ['floor', 'round']) Number.prototype[name] = function () { return Math[name](Number(this)); };
Number.prototype.truncate = function () { return Math.trunc(Number(this)); };
Number.prototype.compareTo = function (other) { return Number(this) - other; };
Object.defineProperty(Array.prototype, 'isEmpty', {get() { return this.length === 0; }});
Array.prototype.where = Array.prototype.filter;
Array.prototype.take = function (count) { return this.slice(0, count); };
Set.prototype.contains = Set.prototype.has;
const math = Math, Uint8List = Uint8Array, Float32List = Float32Array;
const Prediction = (label, score) => ({label, score}), Label = {values: [...Array(1000).keys()]};
"""
_RANK = "function rank(scores, {topK, threshold, allow, deny = new Set()} = {}) {"


def arithmetic(code):
    """Returns what resizes and ranks, from `lowest` and `ownThresholds` to `toInput` and `rank`."""
    constants = re.findall(r"^const (?:\S+) (\w+) = (.*);$", code, re.M)
    fit = re.search(r"^(Uint8List|Float32List) toInput.*?^}$(.*?^List<int> centered.*?^}$)?", code, re.M | re.S)[0]
    part = re.search(r"^Photo part.*?^}$", code, re.M | re.S)[0]
    part = re.sub(r"^Photo part\(.*\) {", "function part(photo, {region = [0, 0, 1, 1], rotation = 0} = {}) {", part)
    part = re.sub(r"int even\(double value\) =>", "const even = (value) =>", part)
    part = re.sub(r"= Uint8List\(", "= new Uint8Array(", part)
    part = re.sub(r"return Photo\((\w+), (\w+), (\w+)\);", r"return {rgba: \1, width: \2, height: \3};", part)
    rank = re.search(r"^List<Prediction> rank.*?^}$", code, re.M | re.S)[0]
    fit = re.sub(r"^\w+ toInput\(.*\) {", "function toInput(rgba, width, height) {", fit)
    fit = re.sub(
        r"^List<int> centered\(.*\) {", "function centered(width, height, shapeWidth, shapeHeight) {", fit, flags=re.M
    )
    fit = re.sub(r"= (\w+List)\(", r"= new \1(", fit)
    fit = re.sub(r"num pixel\(int x, int y, int c\)", "function pixel(x, y, c)", fit)
    rank = re.sub(r"^List<Prediction> rank[^)]*\) {$", _RANK, rank, count=1, flags=re.M)
    rank = re.sub(r"bool may\(int index\) =>", "const may = (index) =>", rank)
    rank = re.sub(r"double limit\(int index\) =>", "const limit = (index) =>", rank)
    rank = re.sub(r"\[for \(var index = 0; index < scores.length; index\+\+\) index\]", "[...scores.keys()]", rank)
    rank = re.sub(r"\[for \(final index in best\) (.*)\];", r"best.map((index) => \1);", rank)
    body = re.sub(r"\bfinal\b", "const", f"{part}\n{fit}\n{rank}").replace("var ", "let ")
    return _METHODS + "".join(f"const {name} = {value};\n" for name, value in constants) + body
