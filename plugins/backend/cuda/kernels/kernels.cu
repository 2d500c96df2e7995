// All kernels, one program.
#include "instructions.cuh"
#include "products.cuh"
