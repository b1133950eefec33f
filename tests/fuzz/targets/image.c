/* JPEG, PNG and DICOM: whole, and as pack frames them. */
#include "pulmo/image.h"
#include "target.h"

#define PIXELS_MAX (1u << 20)

static void decode(const uint8_t *data, size_t size, const pulmo_decode_spec *spec)
{
    pulmo_image image;
    pulmo_decode_notes notes;
    pulmo_status status = pulmo_image_decode(data, size, spec, &image, &notes);
    fuzz_refused(status, PULMO_DATA);
    if (status != PULMO_OK) {
        FUZZ_CHECK(!image.pixels, "an image that was refused");
        return;
    }
    unsigned sum = 0;
    const size_t count = (size_t)image.height_px * (size_t)image.width_px;
    for (size_t i = 0; i < count * (size_t)image.channels; i++)
        sum += image.pixels[i];
    FUZZ_CHECK(count > 0 && sum <= 255 * count * 3, "an image of no pixels");
    pulmo_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pulmo_framing framing = {.crop_border = size % 2};
    pulmo_decode_spec spec;
    pulmo_decode_spec_init(&spec);
    spec.pixels_max = PIXELS_MAX;
    decode(data, size, &spec);
    framing.fit = (pulmo_fit)(size % 3);
    framing.fast = size % 5 == 0;
    pulmo_decode_spec_framed(&spec, &framing, 48);
    spec.pixels_max = PIXELS_MAX;
    decode(data, size, &spec);
    return 0;
}
