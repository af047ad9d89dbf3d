#!/bin/bash
# Makes the sounds of the examples in examples/audio: three spoken lines, eight seconds of music, a chime, a scale.
set -euo pipefail
cd "$(dirname "$0")"

for tool in espeak-ng sox lame flac ffmpeg; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing (Debian: apt-get install espeak-ng sox lame flac ffmpeg)" >&2
    exit 1
  fi
done

mkdir -p audio
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# speech NAME TEXT
speech() {
  espeak-ng -v en-us+f3 -s 155 -w "$work/$1.wav" "$2"
  # espeak leaves silence around the words, which would blur when they are heard to start.
  sox -D "$work/$1.wav" "$work/$1-trimmed.wav" \
    silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse gain -n -3
  lame --quiet --noreplaygain -m m --cbr -b 48 "$work/$1-trimmed.wav" "audio/$1.mp3"
}

speech welcome 'Welcome back. You have three new messages, and one reminder.'
speech reminder 'Your meeting starts in five minutes.'
speech urgent 'Attention! The front door is open.'

# Four bars of two seconds: C, A minor, F, G. Soft chords below a plucked melody in quavers.
chords=(C3 E3 G3 A2 E3 C4 F2 A3 C4 G2 D3 B3)
melody=(E5 G5 C5 G5 E5 D5 C5 G4 C5 E5 A4 E5 C5 B4 A4 E4 A4 C5 F4 C5 A5 G5 F5 C5 B4 D5 G4 D5 G5 F5 D5 B4)
from=() plucks=() tones=() starts=()
for i in "${!chords[@]}"; do
  tones+=(sine "${chords[i]}")
  starts+=($((i / 3 * 2)))
done
for i in "${!melody[@]}"; do
  plucks+=(pluck "${melody[i]}")
  from+=("$((i / 4)).$((i % 4 * 25))")
done
# -R: plucks begin with noise, which is to be the same every time.
sox -R -r 44100 -c ${#chords[@]} -n -b 32 "$work/chords.wav" \
  synth 2.3 "${tones[@]}" fade h 0.2 2.3 0.6 delay "${starts[@]}" remix - norm -12
sox -R -r 44100 -c ${#melody[@]} -n -b 32 "$work/melody.wav" \
  synth 1.5 "${plucks[@]}" fade t 0 1.5 0.8 delay "${from[@]}" remix - norm -6
sox -R -D -m "$work/chords.wav" "$work/melody.wav" -b 16 "$work/music.wav" \
  rate 32000 lowpass 6000 trim 0 8.5 fade t 0.02 8.5 1 norm -14
flac --silent --force --best --no-padding -o audio/music.flac "$work/music.wav"

# A bell: partials that are not quite harmonic, the higher the sooner gone.
ffmpeg -nostdin -loglevel error -y -f lavfi -i "aevalsrc=s=48000:d=1.5:exprs=
  min(t/0.002\,1)*min((1.5-t)/0.1\,1)*(0.24*sin(2*PI*880*t)*exp(-2.5*t)+0.12*sin(2*PI*1763*t)*exp(-4*t)
  +0.08*sin(2*PI*2429*t)*exp(-6*t)+0.05*sin(2*PI*4752*t)*exp(-11*t))" \
  -map_metadata -1 -fflags +bitexact -flags +bitexact audio/chime.wav

# Eight seconds, each a tone of its own, so that a place in it is known by its pitch.
ffmpeg -nostdin -loglevel error -y -f lavfi -i 'aevalsrc=s=16000:d=8:exprs=0.3*sin(2*PI*(400+100*floor(t))*t)' \
  -map_metadata -1 -fflags +bitexact -flags +bitexact -compression_level 12 audio/scale.flac

# What showcase.jsonl writes to its stream, in base64.
for hz in 1300 1600; do
  ffmpeg -nostdin -loglevel error -f lavfi -i "aevalsrc=s=8000:d=1:exprs=0.3*sin(2*PI*$hz*t)" \
    -map_metadata -1 -fflags +bitexact -flags +bitexact -c:a libmp3lame -b:a 16k -f mp3 - | base64 -w 0
  echo
done

ls -l audio
