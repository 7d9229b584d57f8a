"""Small programs, with comments and strings that go over lines, as they come in answers."""

# ruff: noqa: E101 - tabs are part of a Makefile
from __future__ import annotations

from typing import Final

SAMPLES: Final = {
    "c": r"""
#include <stdio.h>
#define MAX(a, b) \
    ((a) > (b) ? (a) : (b))

/* What is said here
   goes on: "not a string", int not_a_type;

 * and ends */
struct point { double x, y; };

#if 0
int never(void);
#endif

static int
older_style(int count, char **names)
{
    /* one line */ return count;
}

int main(int argc, char *argv[])
{
    // a remark \
       that goes on
    const char *text = "a\tb" "c \
d";
    for (int i = 0; i < 10; i++) {
        printf("%d %s\n", MAX(i, 0x1F), argv[i]);
    }
    return sizeof(struct point) > 8 ? 'x' : '\n';
}

double
scaled(double value,
       double factor)
{
    return value * factor;
}
""",
    "cpp": r"""
#include <vector>
namespace shop {
/**
 * A thing that is sold.
 */
template <typename T>
class Item : public Base<T> {
 public:
  explicit Item(std::string name, double price) : name_(std::move(name)), price_(price) {}
  virtual ~Item() = default;
  auto price() const -> double { return price_; }

 private:
  std::string name_{R"sql(
    SELECT "name"
    FROM items -- int
  )sql"};
  double price_ = 1'000.5;
};
}  // namespace shop

int main() {
  std::vector<int> numbers{1, 2, 3};
  for (const auto& number : numbers) std::cout << number << std::endl;
  return nullptr == nullptr;
}
""",
    "java": r'''
package shop;

import java.util.List;

/**
 * Sells things.
 *
 * @author somebody
 */
@Deprecated
public class Shop<T extends Item> implements Seller {
    private final List<T> items = new ArrayList<>();

    /* a plain
       comment */
    @Override
    public double total(int count, String name) throws IOException {
        String text = """
            A text
              of "some" lines
            """;
        return items.stream().mapToDouble(i -> i.price() * 1.19).sum();
    }

    static {
        System.out.println('c' + "text\n" + 0xFFL);
    }
}
''',
    "javascript": r"""
// A remark
import { readFile } from "node:fs";
/* Of many
 * lines: 'quoted' and "quoted"
 */
export default class Shop extends Base {
  static #count = 0;
  async total(items = []) {
    const pattern = /[a-z]+\/"x"/gi;
    const text = `Hello ${this.name},
      you pay ${items.map((item) => `${item.price}
      each`).join(", ")}
    or nothing`;
    if (items.length === 0) return null;
    return await items.reduce((sum, { price }) => sum + price, 0.5e3);
  }
}
function* ids() { let id = 0; while (true) yield id++; }
""",
    "typescript": r"""
interface Item<T = string> {
  readonly name: T;
  price?: number | undefined;
}
/** What is sold,
    and for how much */
export abstract class Shop implements Seller {
  constructor(private items: Item[], public name = `The
  shop`) {}
  @log() get total(): number {
    return this.items.reduce((sum, item) => sum + (item.price ?? 0), 0);
  }
}
type Kind = "a" | 'b';
enum Color { Red, Green = 2 }
""",
    "tsx": r"""
import React from "react";

/* A button
   with a label */
export function Button({ label, onClick }: Props) {
  const [count, setCount] = React.useState<number>(0);
  return (
    <div className="row" data-kind='button'>
      <button onClick={() => setCount(count + 1)} disabled>
        {label} {count > 1 ? "times" : `time
        `}
      </button>
    </div>
  );
}
""",
    "go": r"""
package main

import (
	"fmt"
	str "strings"
)

/* A shop
   sells "things" */
type Shop struct {
	Items map[string]float64 `json:"items"`
}

func (s *Shop) Total(names ...string) (sum float64, err error) {
	query := `SELECT *
FROM items
WHERE name = "x"`
	defer fmt.Println(query, 'x', "a\n", 0x1F)
	for _, name := range names {
		if price, ok := s.Items[str.ToLower(name)]; ok {
			sum += price
		}
	}
	return sum, nil
}
""",
    "rust": r"""
//! A shop.
use std::collections::HashMap;

/* Outer
   /* inner
   */ still a comment
*/
#[derive(Debug, Clone)]
pub struct Shop<'a> {
    items: HashMap<&'a str, f64>,
}

impl<'a> Shop<'a> {
    /// The sum.
    pub fn total(&self, names: &[&str]) -> Option<f64> {
        let query = r#"SELECT "name"
            FROM items"#;
        let text = "one
            two \
            three";
        println!("{} {}", query, text);
        names.iter().map(|name| self.items.get(name)).sum::<Option<f64>>()
    }
}

fn main() { let x: u8 = b'a'; let y = 1_000.5e3; loop { break; } }
""",
    "bash": r"""
#!/usr/bin/env bash
set -euo pipefail
# A remark
name="${1:-world}"
greet() {
  local text="Hello $name,
  how are you? $(date +%F)"
  echo 'it is
  "late"' >&2
  cat <<EOF
Dear $name,
  if this is "late"
EOF
  for file in *.txt; do
    [[ -f "$file" ]] && mv "$file" "${file%.txt}.md" || return 1
  done
}
while read -r line; do greet "$line"; done < <(ls)
""",
    "sql": r"""
-- A remark
/* Of many
   lines, with 'quotes' */
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    name VARCHAR(80) NOT NULL DEFAULT 'it''s
a new line'
);
SELECT name, COUNT(*) AS "the count"
FROM items
WHERE price > 1.5 AND name LIKE '%x%'
GROUP BY name
ORDER BY 2 DESC;
""",
    "html": r"""
<!DOCTYPE html>
<html lang="en">
<head>
  <!-- A remark
       <b>of lines</b>
  -->
  <title>A &amp; B</title>
  <style>
    /* A remark
       color: red */
    body > .row:hover { color: #ff0000; margin: 0 auto; }
    @media (max-width: 600px) {
      .row { display: none; }
    }
  </style>
  <script type="module">
    /* A remark
       of lines */
    const text = `one
      two ${1 + 2}`;

    document.querySelector("#x").innerHTML = "<b>" + text;
  </script>
</head>
<body class="a
  b" data-x='1'
  hidden>
  <p>It's a
    text.</p>
  <br/>
</body>
</html>
""",
    "vue": r"""
<template>
  <div :class="{ active: isActive }" @click="toggle">{{ label }} and
    {{ count + 1 }}
  </div>
</template>

<script>
export default {
  /* A remark
     of lines */
  data() { return { count: 0 }; },
};
</script>

<style scoped>
.active {
  color: red;
}
</style>
""",
    "css": r"""
@import url("other.css");
/* A remark
   a { color: red }
   of lines */
:root { --main: #06c; }
a:hover,
.row > li:nth-child(2n + 1)::before {
  content: "x";
  color: var(--main) !important;
  margin: -1.5em auto 0 calc(100% - 2px);
}
@media screen and (max-width: 600px) {
  .row { display: none; }
}
""",
    "json": r"""
{
  "name": "A \"shop\"",
  "items": [
    1,
    -2.5e3,
    true,
    null
  ],
  "nested": {"a": {"b": []}},
  "last": "x"
}
""",
    "yaml": r"""
%YAML 1.2
---
# A remark
name: shop
items: &items
  - one
  - "two: 2"
  - {a: 1, b: [x, y]}
script: |
  echo "not: a key"
  if true; then

    exit 1
  fi
folded: >-
  some text
  that goes on
quoted: "a text
  that goes on"
other:
  <<: *items
  count: 12
...
""",
    "toml": r'''
# A remark
[tool.shop]
name = "shop"
count = 1_000
since = 1979-05-27T07:32:00Z
text = """
one "two"
three"""
raw = \'\'\'
C:\new
\'\'\'
items = [
  1.5,
  true,
]
[[products]]
"a key" = 'b'
'''.replace(r"\'", "'"),
    "xml": r"""
<?xml version="1.0" encoding="UTF-8"?>
<!-- A remark
     <of>lines</of> -->
<shop xmlns:x="urn:x"
      name="a
      b">
  <item price='1'>A &lt; B</item>
  <![CDATA[ <not a="tag">
  & still ]]>
  <x:empty/>
</shop>
""",
    "ruby": r"""
# A remark
=begin
Of many
class NotOne
=end
module Shop
  class Item < Base
    attr_reader :name, :price

    def initialize(name, price = 1.5)
      @name, @price = name, price
    end

    def to_s
      text = <<~TEXT
        Item #{name}
        def not_one
      TEXT
      words = %w[a b
        c]
      "#{text}: #{words.map { |word| word.upcase }.join(', ')}" if @name =~ /x+/i
    end
  end
end
puts Shop::Item.new('a
b').to_s
""",
    "php": r"""
<!DOCTYPE html>
<?php
/* A remark
   of $lines */
namespace Shop;

/** For documentation,
 *  of lines
 */
final class Item extends Base implements Thing
{
    public function __construct(private string $name, ?float $price = 1.5) {
        $text = <<<TEXT
Dear customer,
  if you pay
TEXT;
        $other = 'one
two';
        echo "Hello {$this->name},
  $text" . strlen($other);
    }
}
?>
<b>end</b>
""",
    "diff": r"""
diff --git a/x.py b/x.py
index 123..456 100644
--- a/x.py
+++ b/x.py
@@ -1,4 +1,4 @@ def f():
 def f():
-    return 1
+    return 2
 # end
""",
    "dockerfile": r"""
# A remark
FROM python:3.11-slim AS build
ARG VERSION=1.0
ENV PATH="/app:$PATH" \
    MODE=production
RUN apt-get update \
    && apt-get install -y curl \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
EXPOSE 8080
CMD ["python", "-m", "app"]
""",
    "kotlin": r'''
package shop

/* A remark
   /* in one */
   of lines */
data class Item(val name: String, var price: Double = 1.5)

/** For documentation */
fun List<Item>.total(factor: Int = 0xFF): Double? {
    val text = """
        A text with "quotes"
        and ${this.size} lines
    """.trimIndent()
    return when {
        isEmpty() -> null
        else -> sumOf { it.price * factor }.also { println("$text\n") }
    }
}
''',
    "swift": r'''
import Foundation

/* A remark
   of lines */
struct Item: Codable {
    let name: String
    var price: Double = 1.5

    func text(_ count: Int) -> String? {
        guard count > 0 else { return nil }
        return """
        A text with "quotes"
        of \(count) lines
        """
    }
}
let items = [Item(name: "a"), Item(name: "b")].map { $0.price * 2 }
''',
    "haskell": r"""
{- A remark
   {- in one -}
   of lines -}
module Shop (Item (..), total) where

import qualified Data.Map as Map

-- | What is sold
data Item = Item
  { name :: String
  , price :: Double
  } deriving (Show, Eq)

total :: [Item] -> Maybe Double
total [] = Nothing
total items = Just . sum $ map price items
  where
    text = "one\
           \two" ++ ['c']
""",
    "lua": r"""
-- A remark
--[[ Of many
lines, with "quotes"
]]
--[==[ And
another ]] of them
]==]
local Shop = {}
Shop.__index = Shop

function Shop.new(name, ...)
  local text = [[
one "two"
three]]
  local self = setmetatable({ name = name or 'x', count = 0x1F }, Shop)
  for index, value in ipairs({ ... }) do
    if value ~= nil and index > 1 then print(text .. value) end
  end
  return self
end
""",
    "r": r"""
# A remark
library(dplyr)
total <- function(items, factor = 1.5, ...) {
  text <- "one
two 'three'"
  if (is.null(items) || !TRUE) return(NA_real_)
  items %>% filter(price > 1e3) %>% summarise(sum = sum(price * factor))
}
x[["a"]]$b <- c(1L, 2L)
""",
    "markdown": r"""
# A title

Some *text* with **bold** words, `code` and a [link](https://example.org).

## A part

- one
- [ ] two
1. three

> said

```python
def f():
    '''Of many

    lines'''
    return 1
```

```
plain "text"
```

After.
""",
    "ini": r"""
; A remark
[section one]
name = value
other: "a value"
# Another
empty =

[section two]
list =
    one
    two
""",
    "make": r"""
# A remark
CC := gcc
SOURCES = main.c \
    other.c

.PHONY: all clean
all: $(SOURCES:.c=.o)
	@echo "linking $@"
	$(CC) -o main $^ && \
	  ./main

ifeq ($(DEBUG),1)
CFLAGS += -g
endif

clean:
	rm -f *.o
""",
    "powershell": r"""
<# A remark
   of lines, with "quotes"
#>
[CmdletBinding()]
param([string]$Name = 'x', [int]$Count = 1)

function Get-Item2 {
    # A remark
    $text = @"
Dear $Name,
  if you pay
"@
    foreach ($i in 1..$Count) {
        if ($i -gt 2 -and $true) { Write-Host "Number $i`n$text" }
    }
}
Get-ChildItem | Where-Object { $_.Length -gt 1MB }
""",
    "csharp": r'''
using System;
namespace Shop
{
    /* A remark
       of lines */
    [Serializable]
    public sealed class Item : Base
    {
        public string Name { get; set; } = @"one
two ""three""";
        /// <summary>For documentation</summary>
        public async Task<double> Total(int count)
        {
            var text = $"count {count}";
            return await Sum(text) * 1.5m;
        }
    }
}
''',
    "scala": r'''
package shop
/* A remark
   of lines */
case class Item(name: String, price: Double = 1.5) extends Base {
  def text(count: Int): Option[String] = Some(s"""
    one "two"
    three $count
  """)
}
object Main extends App { val x = List(1, 2).map(_ * 2) }
''',
    "perl": r"""
#!/usr/bin/perl
use strict;
# A remark
sub total {
    my ($name, %items) = @_;
    my $text = <<"END";
Dear $name,
  if you pay
END
    return "one
two" if $name =~ /x+/i;
}
print total('x'), "\n";
""",
    "elixir": r'''
defmodule Shop do
  @moduledoc """
  Sells "things".

  def not_one
  """
  def total(items, factor \\ 1.5) when is_list(items) do
    items |> Enum.map(fn %{price: price} -> price * factor end) |> Enum.sum()
  end
end
''',
    "terraform": r"""
# A remark
/* Of
   lines */
resource "aws_instance" "web" {
  ami   = var.ami
  count = 2
  user_data = <<EOF
#!/bin/bash
echo "hello"
EOF
  tags = { Name = "x" }
}
""",
    "graphql": r'''
"""
What is sold
"""
type Item @key(fields: "id") {
  id: ID!
  name(first: Int = 10): [String]
}
query Items($id: ID!) { item(id: $id) { ...Fields } }
''',
    "pycon": r"""
>>> def f(x):
...     '''Of many
...     lines'''
...     return x + 1
...
>>> f(1)
2
>>> f("a")
Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
TypeError: can only concatenate str (not "int") to str
""",
    "console": r"""
$ echo "hello" | wc -l
1
$ for x in a b; do \
>   echo $x; done
a
b
""",
    "html+jinja": r"""
<ul class="{{ kind }}">
{# A remark
   of lines #}
{% for item in items %}
  <li id="x">{{ item.name|upper }}</li>
{% endfor %}
</ul>
""",
}
