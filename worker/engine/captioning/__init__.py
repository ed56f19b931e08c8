"""What pictures show, in words, by a captioning network: in short calls beside the UNet's."""
