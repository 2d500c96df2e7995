// The table of kernels. What each computes is said in core/tensor/kernels.ts and by its reference definition there;
// shapes: T tokens, H features, N rows, I inputs and O outputs of a linear layer. Outputs may not overlap inputs unless
// said so.
#pragma once

#include "buffer.h"
#include "gemm.h"

namespace native {

// --- products -----------------------------------------------------------------------------------------------------
// C_B[m, n] = op(A_B) op(B_B) for each of a batch, which may share one A or one B.
void matmul(In a, In b, Out c, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
            bool bfloat16);
void linear(In x_TI, In weight_OI, In bias_O, Out y_TO, bool bfloat16);
void linear_gelu(In x_TI, In weight_OI, In bias_O, Out y_TO, Out slope_TO, bool bfloat16);
void linear_input_gradient(In dy_TO, In weight_OI, Out dx_TI, int64_t tokens, bool bfloat16);
void linear_parameter_gradients(In dy_TO, In x_TI, Out weight_OI, Out bias_O, int64_t tokens, bool bfloat16);
// Not in the table: the sum of all rows, which several of its kernels need.
void sum_rows(In x_TH, Out sum_H);

// --- element by element -------------------------------------------------------------------------------------------
// `b` is as long as `a`, or is repeated: a row vector, or one number. `out` may be `a`.
void add(In a, In b, Out out);
void subtract(In a, In b, Out out);
void multiply_elements(In a, In b, Out out);
void fill(Out out, double value);
// Row n of x_NH is row rows_N[n] of what the mask covers; row n where no rows are listed.
void dropout(In x, Out y, List<double> draw, List<int32_t> rows_N);
void transpose_matrix(In x_TH, Out y_HT, int64_t rows);

// --- normalisation ------------------------------------------------------------------------------------------------
void layer_norm(In x_TH, In gamma_H, In beta_H, double epsilon, Out y_TH, Out normalised_TH, Out inverse_T);
// Of residual + dropout(x).
void residual_norm(In x_TH, In residual_TH, In gamma_H, In beta_H, double epsilon, List<double> draw,
                   List<int32_t> rows_T, Out y_TH, Out normalised_TH, Out inverse_T);
void layer_norm_input_gradient(In dy_TH, In normalised_TH, In inverse_T, In gamma_H, Out dx_TH);
void layer_norm_parameter_gradients(In dy_TH, In normalised_TH, Out gamma_H, Out beta_H);

// --- attention ----------------------------------------------------------------------------------------------------
// Queries R, each at a place in one of the packed sequences of T tokens; places_R rise. Kept for the backward pass:
// of each head's row of scores the largest, and one over the sum of exponentials, [heads, R, 2].
void attention(In q_RH, In k_TH, In v_TH, int64_t heads, List<int32_t> offsets, List<int32_t> places_R,
               List<double> draw, Out y_RH, Out statistics);
void attention_gradient(In dy_RH, In q_RH, In k_TH, In v_TH, In statistics, int64_t heads, List<int32_t> offsets,
                        List<int32_t> places_R, List<double> draw, Out dq_RH, Out dk_TH, Out dv_TH);

// --- losses -------------------------------------------------------------------------------------------------------
void softmax_cross_entropy(In logits_NC, List<int32_t> labels_N, Out loss, Out gradient_NC);
void info_nce(In z1_ND, In z2_ND, double temperature, int64_t rows, Out loss, Out gradient1_ND, Out gradient2_ND);

// --- rows of tables -----------------------------------------------------------------------------------------------
void gather_rows(In table_VH, List<int32_t> ids_N, Out rows_NH);
// rows_UH[slots[n]] = Σ x[n], summed in the order of n.
void sum_into_rows(In x_NH, List<int32_t> slots_N, Out rows_UH);
// table_VH is zero but for rows ids_U, which are different.
void spread_rows(In rows_UH, List<int32_t> ids_U, Out table_VH);

// --- the optimiser ------------------------------------------------------------------------------------------------
// Σ x² in float64, row after row of `width` numbers: rows of zeros change no bit of it.
double sum_of_squares(In x, int64_t width);
// coefficients: [gradient scale, β₁, β₂, ε, step size, decay]. All in place.
void adamw(Out theta, In gradient, Out m, Out v, List<double> coefficients);
// The same where the gradient is zero but for rows ids_U; only rows marked in active_V, those ever reached, are
// touched, and those of this gradient, which are marked.
void adamw_rows(Out theta_VH, In rows_UH, List<int32_t> ids_U, Out m_VH, Out v_VH, Buffer<uint8_t> active_V,
                List<double> coefficients);
// Marks the rows in which a moment is not zero.
void mark_active_rows(In m_VH, In v_VH, Buffer<uint8_t> active_V);

// --- the probe ----------------------------------------------------------------------------------------------------
// K_ij = ⟨Gᵢ, Gⱼ⟩ of the gradients Gᵢ = Σ_t b_t a_tᵀ of N samples, [N, N], upper triangle, in float64.
void gram_by_tokens(In input_TI, In gradient_TO, List<int32_t> offsets, Buffer<double> gram);
void gram_directly(In input_TI, In gradient_TO, List<int32_t> offsets, Buffer<double> gram);
// The same of each sample's sum of x over its tokens, or of x ∘ y where y is not empty.
void gram_of_sums(In x_TD, In y_TD, List<int32_t> offsets, Buffer<double> gram);

}  // namespace native
