// All kernels, in one translation unit.
#include "instructions.cuh"

#include "elements.cuh"
#include "losses.cuh"
#include "normalisation.cuh"
#include "reduction.cuh"
#include "rows.cuh"
