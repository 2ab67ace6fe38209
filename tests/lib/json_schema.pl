#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Whether JSON is what docs/schema.json says, or with --sarif first, what tests/sarif-subset.json says. Many files in one process: loading the validator costs more than all of them.
#   json_schema.pl FILE...           each file holds one object or several; every one must be valid
#   json_schema.pl --spoil FILE...   and every one must be invalid as soon as a key is missing, a value is of another type,
#                                    or a key is there that nobody knows
#   json_schema.pl --cover FILE...   and together they must have every key and every object of the schema
# Exit status: 0; 1 with one line for each mistake; 77 where the validator is not installed.
use strict;
use warnings;
use FindBin;
use JSON::PP ();
use List::Util qw(any);
BEGIN {
	eval { require JSON::Validator::Schema::Draft7 } or do { print "libjson-validator-perl is not installed\n"; exit 77 };
}

# A validator ignores what it does not know, a misspelt keyword too. With `properties` all that is not listed must be
# refused, and what need not be there must be named here.
my %known = map { $_ => 1 } qw($schema $id $ref title description type enum const pattern minimum maximum minItems maxItems items
	required properties patternProperties additionalProperties anyOf allOf if then else definitions);
my $sarif = @ARGV && $ARGV[0] eq '--sarif';
shift if $sarif;
my %optional = map { $_ => 1 } $sarif
	? qw(physicalLocation region location locations toolExecutionNotifications rules results drift)
	: qw(suppressed);
# Their names are data: any of them may be missing.
my %map = map { $_ => 1 } qw(counters reasons);

my $mode = @ARGV && $ARGV[0] =~ /^--(spoil|cover)$/ ? $1 : '';
shift if $mode;
my $path = $sarif ? "tests/sarif-subset.json" : "docs/schema.json";
my $schema = JSON::PP->new->utf8->decode(read_file("$FindBin::Bin/../../$path"));
# Directly: JSON::Validator would look for draft 7's own schema on the network, which Debian's package leaves out.
my $validator = JSON::Validator::Schema::Draft7->new($schema);
my $mistakes = 0;

sub mistake {
	print "@_\n";
	$mistakes++;
}

sub read_file {
	my ($file) = @_;
	open my $stream, '<:raw', $file or die "$file: $!\n";
	local $/;
	return <$stream> // '';
}

# -------------------------------------------------------------------------------------------------------- the schema ---
my %objects; # each list of properties, by where it stands
sub walk {
	my ($node, $where, $conditional) = @_;
	return if JSON::PP::is_bool($node);
	for my $keyword (sort keys %$node) {
		mistake("$path: $where: the keyword '$keyword' is not known here") unless $known{$keyword};
	}
	for (ref $node->{type} ? @{ $node->{type} } : $node->{type} // ()) {
		mistake("$path: $where: there is no type '$_'") unless /^(object|array|string|integer|boolean|null)$/;
	}
	if (my $properties = $node->{properties}) {
		unless ($conditional) {
			mistake("$path: $where: additionalProperties is not false")
				if !JSON::PP::is_bool($node->{additionalProperties}) || $node->{additionalProperties};
			my %required = map { $_ => 1 } @{ $node->{required} || [] };
			$properties->{$_} or mistake("$path: $where: '$_' is required, and nothing tells what it is") for keys %required;
			for (sort keys %$properties) {
				mistake("$path: $where: '$_' is not required") unless $required{$_} || $optional{$_};
			}
			$objects{$where} = { map { $_ => 0 } keys %$properties };
		}
		walk($properties->{$_}, "$where/properties/$_", $conditional) for sort keys %$properties;
	}
	for my $keyword (qw(definitions patternProperties)) {
		walk($node->{$keyword}{$_}, "$where/$keyword/$_", $conditional) for sort keys %{ $node->{$keyword} || {} };
	}
	for my $keyword (qw(items additionalProperties then)) {
		walk($node->{$keyword}, "$where/$keyword", $conditional) if exists $node->{$keyword};
	}
	# What only chooses need not be strict.
	for my $keyword (qw(if else)) {
		walk($node->{$keyword}, "$where/$keyword", 1) if exists $node->{$keyword};
	}
	for my $keyword (qw(anyOf allOf)) {
		my $i = 0;
		walk($_, "$where/$keyword/" . $i++, $conditional) for @{ $node->{$keyword} || [] };
	}
}
walk($schema, '#', 0);

# ------------------------------------------------------------------------------------------------------ the documents ---
sub documents {
	my ($file) = @_;
	my $reader = JSON::PP->new->utf8;
	my @documents;
	eval {
		$reader->incr_parse(read_file($file));
		while (defined(my $document = $reader->incr_parse)) { push @documents, $document }
		die "there is more, which is no JSON\n" if $reader->incr_text =~ /\S/;
		1;
	} or mistake("$file: $@");
	mistake("$file: there is no object in it") unless @documents;
	return @documents;
}

sub errors {
	my ($document) = @_;
	return $validator->validate($document);
}

# ---------------------------------------------------------------------------------------------------------- spoiling ---
# Changes each value of a document in turn, in place, and asks whether that was noticed. The same place in objects of the
# same command, with the same type of value, is tried once.
my ($spoiled, %tried) = (0);
sub noticed {
	my ($file, $document, $what) = @_;
	$spoiled++;
	mistake("$file: not noticed: $what") unless errors($document);
}

sub type_of {
	my ($value) = @_;
	return !defined $value ? 'null'
		: JSON::PP::is_bool($value) ? 'boolean'
		: ref $value ? ref $value
		: JSON::PP->new->allow_nonref->encode($value) =~ /^"/ ? 'text'
		: 'number';
}

my %other_types = (
	null => [ [1], { unknown => 1 } ],
	boolean => [ 7, 'text', [1] ],
	number => [ JSON::PP::true, '7', [1], -1, 1.5 ],
	text => [ JSON::PP::true, 7, [1], { unknown => 1 } ],
	ARRAY => [ 7, 'text', { unknown => 1 } ],
	HASH => [ 7, 'text', [1] ],
);

sub spoil {
	my ($file, $document, $node, $where) = @_;
	my $general = ($document->{error} ? 'error' : $document->{command} // '') . ' ' . $where =~ s{/[0-9]+(?=/|$)}{/0}gr;
	my ($name) = $where =~ m{([^/]*)$};
	if (ref $node eq 'ARRAY') {
		for my $i (0 .. $#$node) {
			my $kept = $node->[$i];
			for (@{ $other_types{ type_of($kept) } }) {
				last if $i;
				$node->[$i] = $_;
				noticed($file, $document, "$where/$i is another type");
			}
			$node->[$i] = $kept;
			spoil($file, $document, $kept, "$where/$i");
		}
	} elsif (ref $node eq 'HASH') {
		for my $key (sort keys %$node) {
			my $type = type_of($node->{$key});
			my $kept = delete $node->{$key};
			my $new = !$tried{"$general/$key $type"}++;
			noticed($file, $document, "$where/$key is missing") if $new && !$map{$name} && !$optional{$key};
			for ($new ? @{ $other_types{$type} } : ()) {
				$node->{$key} = $_;
				noticed($file, $document, "$where/$key is another type");
			}
			$node->{$key} = $kept;
			spoil($file, $document, $kept, "$where/$key");
		}
		return if $tried{"$general unknown"}++;
		$node->{'not known'} = 1;
		noticed($file, $document, "$where has a key that nobody knows");
		delete $node->{'not known'};
	}
}

# ---------------------------------------------------------------------------------------------------------- covering ---
# Which lists of properties an object was judged by: those that have its keys and no others.
sub cover {
	my ($node) = @_;
	if (ref $node eq 'ARRAY') {
		cover($_) for @$node;
	} elsif (ref $node eq 'HASH') {
		for my $object (values %objects) {
			next if any { !exists $object->{$_} } keys %$node;
			next if any { !exists $node->{$_} && !$optional{$_} } keys %$object;
			$object->{$_}++ for keys %$node;
		}
		cover($_) for values %$node;
	}
}

my $count = 0;
for my $file (@ARGV) {
	for my $document (documents($file)) {
		$count++;
		my @errors = errors($document);
		mistake("$file: $_") for @errors;
		next if @errors;
		spoil($file, $document, $document, '') if $mode eq 'spoil';
		cover($document) if $mode eq 'cover';
	}
}
if ($mode eq 'cover') {
	for my $where (sort keys %objects) {
		my @never = grep { !$objects{$where}{$_} } sort keys %{ $objects{$where} };
		mistake("$path: $where: never seen: @never") if @never;
	}
}
mistake("there was nothing to spoil") if $mode eq 'spoil' && !$spoiled;
print "$count objects" . ($spoiled ? ", spoiled $spoiled times" : '') . "\n" unless $mistakes;
exit($mistakes ? 1 : 0);
