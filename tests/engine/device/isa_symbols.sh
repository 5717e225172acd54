#!/bin/sh
# isa_symbols.sh OBJECT…: fails when an object that is compiled for a newer instruction set defines a function that the
# linker may share with the baseline code (an inline or template function with external linkage).
shared=$(nm -C "$@" | grep -E ' [Wu] ')
[ -z "$shared" ] && exit 0
echo "functions that the baseline path could end up with:"
echo "$shared"
exit 1
