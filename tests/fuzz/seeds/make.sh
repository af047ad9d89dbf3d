#!/bin/bash
# Makes the seeds in this folder, one folder a target of the fuzzer: valid files of a few kilobytes, from which it makes hostile ones.
# 48 kHz where nothing else is asked for, so that an execution needs no filter; noise, so that every part of a codec is used.
set -euo pipefail
cd "$(dirname "$0")"

for tool in ffmpeg metaflac; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing (Debian: apt-get install ffmpeg flac)" >&2
    exit 1
  fi
done

# sound TARGET/FILE SECONDS [ffmpeg options]: bitexact, or the date and the encoder's version would be in the files.
sound() {
  local file=$1 seconds=$2
  shift 2
  mkdir -p "$(dirname "$file")"
  ffmpeg -nostdin -loglevel error -y -f lavfi -i "aevalsrc=0.4*sin(2*PI*440*t)+0.1*sin(12345.678*t*t*100):s=48000:d=$seconds" \
    -map_metadata -1 -fflags +bitexact -flags +bitexact "$@" "$file"
}

sound wav/s16.wav 0.01
sound wav/u8-stereo.wav 0.01 -ac 2 -c:a pcm_u8
sound wav/s24-5.1.wav 0.005 -c:a pcm_s24le -filter:a 'pan=5.1|FL=c0|LFE=c0'
sound wav/f32.wav 0.01 -c:a pcm_f32le
sound wav/alaw.wav 0.02 -c:a pcm_alaw
sound wav/list.wav 0.005 -metadata title=Tone -metadata artist=Nobody -fflags -bitexact
sound adpcm/ima.wav 0.05 -c:a adpcm_ima_wav
sound adpcm/ima-stereo.wav 0.05 -ac 2 -c:a adpcm_ima_wav
sound adpcm/ms.wav 0.05 -c:a adpcm_ms
sound aiff/s16.aiff 0.01
sound aiff/f32.aifc 0.01 -c:a pcm_f32be -f aiff
sound aiff/mulaw.aifc 0.02 -c:a pcm_mulaw -f aiff

sound mp3/mono.mp3 0.15 -c:a libmp3lame -b:a 32k -write_xing 1 -id3v2_version 0
sound mp3/stereo.mp3 0.15 -ac 2 -c:a libmp3lame -q:a 6 -write_xing 0 -id3v2_version 0
sound mp3/mpeg2.mp3 0.15 -ar 22050 -c:a libmp3lame -b:a 24k -id3v2_version 3 -metadata title=Tone
sound adts/mono.aac 0.15 -c:a aac -b:a 32k
sound adts/stereo.aac 0.15 -ac 2 -c:a aac -b:a 48k

sound flac/mono.flac 0.05 -c:a flac -metadata title=Tone
sound flac/stereo.flac 0.02 -ac 2 -c:a flac -compression_level 8 -frame_size 512
sound flac/s24.flac 0.02 -sample_fmt s32 -c:a flac -frame_size 256
# ffmpeg leaves 8 kB of room for tags.
metaflac --remove --block-type=PADDING --dont-use-padding flac/*.flac
sound ogg-flac/mono.oga 0.03 -c:a flac -f ogg
sound ogg-vorbis/mono.ogg 0.05 -c:a libvorbis -q:a 0
sound ogg-vorbis/stereo.ogg 0.05 -ac 2 -c:a libvorbis -q:a 0 -metadata title=Tone
sound ogg-opus/mono.ogg 0.2 -c:a libopus -b:a 24k
sound ogg-opus/stereo.ogg 0.2 -ac 2 -c:a libopus -b:a 48k -metadata title=Tone
sound ogg-opus/surround.opus 0.1 -filter:a 'pan=5.1|FL=c0|BR=c0' -c:a libopus -mapping_family 1 -b:a 96k

sound m4a-aac/index-last.m4a 0.1 -c:a aac -b:a 32k
sound m4a-aac/index-first.m4a 0.1 -ac 2 -c:a aac -b:a 48k -movflags +faststart -metadata title=Tone
sound m4a-aac/fragments.m4a 0.2 -c:a aac -b:a 32k -movflags +frag_keyframe+empty_moov+default_base_moof -frag_duration 50000
sound m4a-aac/edit-list.mov 0.1 -c:a aac -b:a 32k
sound m4a-alac/mono.m4a 0.03 -c:a alac -movflags +faststart
sound m4a-alac/stereo-24.m4a 0.02 -ac 2 -sample_fmt s32p -c:a alac
sound m4a-alac/fragments.mp4 0.05 -c:a alac -f mp4 -movflags +frag_keyframe+empty_moov
sound mp4/opus.mp4 0.2 -c:a libopus -b:a 24k -movflags +faststart
sound mp4/mp3.mp4 0.15 -ac 2 -c:a libmp3lame -b:a 48k
sound mp4/flac.mp4 0.03 -c:a flac -strict -2

sound wav/rf64.wav 0.01 -c:a pcm_s16le -rf64 always
sound within-wav/mp3.wav 0.15 -c:a libmp3lame -b:a 32k
sound within-wav/flac.wav 0.03 -c:a flac
sound within-wav/g722.wav 0.05 -ar 16000 -c:a g722
sound w64/s16.w64 0.01 -c:a pcm_s16le
sound au/s16.au 0.01 -c:a pcm_s16be
sound au/mulaw.au 0.02 -c:a pcm_mulaw
sound caf/s24.caf 0.01 -ac 2 -c:a pcm_s24le
sound caf/ima4.caf 0.02 -ar 44100 -c:a adpcm_ima_qt
# Their table of packets comes last, which ffmpeg does not write.
cp ../../../__test__/fixtures/formats/caf-{aac-lc,alac,opus}.caf caf/
# How they are made is told there.
mkdir -p amr
cp ../../../__test__/fixtures/formats/amr-amr-?b.a* amr/

sound webm/opus.webm 0.2 -c:a libopus -b:a 24k
sound webm/live.webm 0.2 -ac 2 -c:a libopus -b:a 48k -f webm -live 1
sound webm/vorbis.webm 0.05 -c:a libvorbis -q:a 0
sound matroska/aac.mka 0.1 -c:a aac -b:a 32k
sound matroska/mp3.mka 0.15 -c:a libmp3lame -b:a 32k
sound matroska/flac.mka 0.03 -c:a flac
sound matroska/s24.mka 0.01 -ac 2 -c:a pcm_s24le
sound mpeg-ts/aac.ts 0.1 -c:a aac -b:a 32k
sound mpeg-ts/mp3.ts 0.15 -ac 2 -c:a libmp3lame -b:a 48k

du -bc */* | tail -1
