/* The fine-tuned convolutions' shapes and parameters. */
#include <stdio.h>
#include <string.h>

#include "layout_room.h"

#include "pulmo/tuned.h"

pulmo_status pulmo_tuned_spec_of(const pulmo_weights *weights, int frozen_blocks, int size_px,
                                 pulmo_isa isa, pulmo_tuned_spec *out)
{
    int block = 1;
    memset(out, 0, sizeof *out);
    out->isa = isa;
    out->frozen_blocks = frozen_blocks;
    out->channels = weights->conv[0].in_channels;
    out->height = out->width = size_px;
    for (int i = 0; i < weights->convs; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        if (block > frozen_blocks) {
            int at = out->layers++;
            out->layer[at].in_channels = conv->in_channels;
            out->layer[at].out_channels = conv->out_channels;
            out->layer[at].feature_index = conv->feature_index;
            out->layer[at].block = block;
            out->layer[at].pool_after = conv->pool_after;
        } else {
            out->channels = conv->out_channels;
            if (conv->pool_after)
                out->height = out->width = out->height / 2;
        }
        block += conv->pool_after;
    }
    if (frozen_blocks >= 0 && out->layers == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "model.trainable: block%d, but these weights have %d blocks; choose one "
                          "of them, or head",
                          frozen_blocks + 1, block - 1);
    int channels, height, width;
    pulmo_tuned_shape(out, &channels, &height, &width);
    if (height < 1)
        return pulmo_fail(
            PULMO_DATA,
            "images of %d px: the weights' max-pools leave nothing of them; pack larger ones",
            size_px);
    return PULMO_OK;
}

/* Channels of all blocks that are averaged. */
static int averages_of(const pulmo_tuned_spec *spec)
{
    int channels = 0;
    if (pulmo_block_set_has(spec->averaged, spec->frozen_blocks))
        channels = spec->channels;
    for (int l = 0; l < spec->layers; l++) {
        bool ends_block = spec->layer[l].pool_after;
        if (ends_block && pulmo_block_set_has(spec->averaged, spec->layer[l].block))
            channels += spec->layer[l].out_channels;
    }
    return channels;
}

void pulmo_tuned_shape(const pulmo_tuned_spec *spec, int *channels, int *height, int *width)
{
    if (spec->averaged) {
        *channels = averages_of(spec);
        *height = *width = 1;
        return;
    }
    *channels = spec->layers ? spec->layer[spec->layers - 1].out_channels : spec->channels;
    *height = spec->height;
    *width = spec->width;
    for (int l = 0; l < spec->layers; l++) {
        if (!spec->layer[l].pool_after)
            continue;
        *height /= 2;
        *width /= 2;
    }
}

void pulmo_tuned_layout_of(const pulmo_tuned_spec *spec, pulmo_layout *out)
{
    memset(out, 0, sizeof *out);
    for (int l = 0; l < spec->layers; l++) {
        char name[24];
        int outs = spec->layer[l].out_channels;
        int ins = spec->layer[l].in_channels * 9;
        snprintf(name, sizeof name, "features.%d", spec->layer[l].feature_index);
        layout_add(out, PULMO_CONV_WEIGHT, l, name, outs, ins);
    }
}

size_t pulmo_tuned_parameters(const pulmo_tuned_spec *spec)
{
    pulmo_layout layout;
    pulmo_tuned_layout_of(spec, &layout);
    return layout.parameters;
}

void pulmo_tuned_layout_with_head(const pulmo_tuned_spec *spec, const pulmo_head_spec *head,
                                  pulmo_layout *out)
{
    pulmo_layout above;
    pulmo_tuned_layout_of(spec, out);
    pulmo_head_layout_of(head, &above);
    layout_append(out, &above);
}

static void copy_tensor(const pulmo_layout *layout, pulmo_tensor_kind kind, int layer,
                        const float *from, float *parameters)
{
    const pulmo_tensor *tensor = pulmo_layout_get(layout, kind, layer);
    size_t count = pulmo_tensor_count(tensor);
    memcpy(parameters + tensor->offset, from, count * sizeof *from);
}

void pulmo_tuned_parameters_init(const pulmo_tuned_spec *spec, const pulmo_weights *weights,
                                 float *parameters)
{
    pulmo_layout layout;
    pulmo_tuned_layout_of(spec, &layout);
    int first = weights->convs - spec->layers;
    for (int l = 0; l < spec->layers; l++) {
        const pulmo_conv *conv = &weights->conv[first + l];
        copy_tensor(&layout, PULMO_CONV_WEIGHT, l, conv->weight, parameters);
        copy_tensor(&layout, PULMO_CONV_BIAS, l, conv->bias, parameters);
    }
}

void pulmo_tuned_apply(const pulmo_tuned_spec *spec, const float *parameters,
                       pulmo_weights *weights)
{
    pulmo_layout layout;
    pulmo_tuned_layout_of(spec, &layout);
    int first = weights->convs - spec->layers;
    for (int l = 0; l < spec->layers; l++) {
        pulmo_conv *conv = &weights->conv[first + l];
        const pulmo_tensor *weight = pulmo_layout_get(&layout, PULMO_CONV_WEIGHT, l);
        const pulmo_tensor *bias = pulmo_layout_get(&layout, PULMO_CONV_BIAS, l);
        conv->weight = parameters + weight->offset;
        conv->bias = parameters + bias->offset;
    }
}
