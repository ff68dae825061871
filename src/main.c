/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/core/run.h"

int main(int argc, char **argv)
{
    return run_main(argc, argv);
}
