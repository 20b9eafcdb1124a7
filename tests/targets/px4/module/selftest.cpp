// core/SelfTest.hpp on this computer: prints the first difference, if there is any.

#include <inttypes.h>
#include <stdio.h>

#include "Engine.hpp"
#include "core/SelfTest.hpp"
#include "model/GoldenVectors.hpp"
#include "model/MotionSpec.hpp"

int main()
{
	static motion::SelfTest<motion::MotionSpec, Engine, motion::model::GoldenVectors> test;
	const motion::SelfTestResult result = test.run();

	if (result.what) {
		printf("%s %" PRIu32 ": %s is %" PRId64 ", expected %" PRId64 "\n", result.what, result.number, result.field,
		       result.found, result.expected);
	}

	return result.what || result.problem ? 1 : 0;
}
