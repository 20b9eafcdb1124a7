#!/bin/sh
# Installs the Debian packages given, unless the compilers and emulators (Cortex-M, AVR) already work.
works() {
	command -v qemu-system-arm >/dev/null && command -v arduino-builder >/dev/null &&
		command -v avr-g++ >/dev/null && command -v simavr >/dev/null &&
		echo 'int main() {}' | arm-none-eabi-g++ --specs=nosys.specs -x c++ -include stdint.h - -o /dev/null 2>/dev/null
}

if works; then
	exit 0
fi
if [ "$(id -u)" = 0 ]; then
	as_root=""
elif sudo -n true 2>/dev/null; then
	as_root="sudo"
else
	as_root="false"
fi
if [ "$as_root" != false ] && command -v apt-get >/dev/null; then
	$as_root apt-get update -qq && $as_root apt-get install -qq -y --no-install-recommends "$@"
fi
works || echo "Tests for microcontrollers will be skipped. Install: apt-get install $*" >&2
