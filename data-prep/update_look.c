/* Where a file stands in the pack that is updated, and its pixels there. */
#include "update.h"

int update_split_of(const old_pack *old, uint32_t file)
{
    if (!old || old->split_of[file] < 0)
        return -1;
    return old->split_of[file];
}

int update_fold_of(const old_pack *old, uint32_t file)
{
    int s = update_split_of(old, file);
    if (s < 0 || !old->split[s].fold)
        return -1;
    uint32_t place = old->place[file];
    return old->split[s].fold[place];
}

pulmo_status update_read(old_pack *old, uint32_t file, int channels, uint8_t *pixels)
{
    pulmo_dataset *data = old->data[old->split_of[file]];
    const pulmo_dataset_info *info = pulmo_dataset_info_of(data);
    if (info->channels != channels)
        return pulmo_fail(PULMO_DATA,
                          "the pack is grey and a new file is in colour; pack anew with "
                          "--overwrite");
    return pulmo_dataset_read(data, old->place[file], pixels);
}
