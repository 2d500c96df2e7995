// All kernels, one program.
#include "instructions.cuh"

#include "attention.cuh"
#include "digests.cuh"
#include "elements.cuh"
#include "gram.cuh"
#include "losses.cuh"
#include "normalisation.cuh"
#include "optimiser.cuh"
#include "products.cuh"
#include "reduction.cuh"
#include "rows.cuh"
#include "tensor-attention.cuh"

// The entry points are known by their plain names.
using namespace kasosei;
