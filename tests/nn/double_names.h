/* Names of the nn room's functions where its sources are built a second time, in double, to stand
 * beside the library's (nn_double in tests/CMakeLists.txt, which includes this before everything
 * else). A function that such a source adds and others call goes here. */
#define PULMO_HEAD_DOUBLE

#define pulmo_head_create              head64_create
#define pulmo_head_destroy             head64_destroy
#define pulmo_head_microbatch_run      head64_microbatch_run
#define pulmo_head_microbatch_bound    head64_microbatch_bound
#define pulmo_head_microbatch_gradient head64_microbatch_gradient
#define pulmo_head_microbatch_factors  head64_microbatch_factors
#define sufficient_row                 sufficient64_row
#define sufficient_row_tier            sufficient64_row_tier
#define pulmo_head_train_below         head64_train_below
#define pulmo_head_microbatch_features head64_microbatch_features
#define pulmo_head_run                 head64_run
#define pulmo_head_logits_on           head64_logits_on
#define pulmo_head_pool                head64_pool
#define pulmo_head_logits              head64_logits
#define pulmo_softmax                  head64_softmax
#define pulmo_cross_entropy            head64_cross_entropy
#define head_row_loss                  head64_row_loss
#define head_row_delta                 head64_row_delta
#define head_class_weight              head64_class_weight
#define head_bound_of                  head64_bound_of
#define head_products                  head64_products
#define head_fill_input                head64_fill_input
#define head_forward                   head64_forward
#define head_run_products              head64_run_products
#define head_input_gradient            head64_input_gradient
#define head_backward                  head64_backward

#define pulmo_tuned_bytes         tuned64_bytes
#define pulmo_tuned_create        tuned64_create
#define pulmo_tuned_destroy       tuned64_destroy
#define pulmo_tuned_use           tuned64_use
#define pulmo_tuned_forward       tuned64_forward
#define pulmo_tuned_backward      tuned64_backward
#define pulmo_tuned_bounds        tuned64_bounds
#define pulmo_tuned_bias_gradient tuned64_bias_gradient
#define pulmo_tuned_gradients     tuned64_gradients
#define pulmo_tuned_below         tuned64_below
#define tuned_convolve            tuned64_convolve
#define tuned_unit_tiles          tuned64_unit_tiles
#define pulmo_kernels_of          kernels64_of
#define pulmo_kernels_table__ref  kernels64_table__ref

#define pulmo_tile_of_block     geometry64_tile_of_block
#define pulmo_plane_of          geometry64_plane_of
#define pulmo_plane_clear_frame geometry64_plane_clear_frame
#define pulmo_plane_fill        geometry64_plane_fill
#define pulmo_plane_read        geometry64_plane_read
#define pulmo_plane_average     geometry64_plane_average
#define pulmo_plane_spread      geometry64_plane_spread
#define pulmo_tiles_of          geometry64_tiles_of
#define pulmo_tiles_of_run      geometry64_tiles_of_run
#define pulmo_run_tiles         geometry64_run_tiles
#define pulmo_run_tiles_most    geometry64_run_tiles_most
#define pulmo_wino_products     geometry64_wino_products
