// All kernels, one program.
#include "instructions.cuh"
